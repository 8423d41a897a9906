/** The least and the greatest of some numbers, in PLAIN form. NaN is left out and counted. */
export interface NumberRange {
  min: Uint8Array | undefined;
  max: Uint8Array | undefined;
  nanCount: number;
}

const plain = (values: Int32Array | Float32Array | Float64Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

export function int32Range(values: Int32Array, count: number): NumberRange {
  if (count === 0) return { min: undefined, max: undefined, nanCount: 0 };
  let min = values[0]!;
  let max = min;
  for (let i = 1; i < count; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    else if (value > max) max = value;
  }
  return { min: plain(Int32Array.of(min)), max: plain(Int32Array.of(max)), nanCount: 0 };
}

/** Pairs of halves, low first: the high halves decide, signed; then the low ones, unsigned. */
export function int64Range(values: Int32Array, count: number): NumberRange {
  if (count === 0) return { min: undefined, max: undefined, nanCount: 0 };
  let minLow = values[0]!;
  let minHigh = values[1]!;
  let maxLow = minLow;
  let maxHigh = minHigh;
  for (let i = 2; i < 2 * count; i += 2) {
    const low = values[i]!;
    const high = values[i + 1]!;
    if (high < minHigh || (high === minHigh && low >>> 0 < minLow >>> 0)) {
      minLow = low;
      minHigh = high;
    }
    if (high > maxHigh || (high === maxHigh && low >>> 0 > maxLow >>> 0)) {
      maxLow = low;
      maxHigh = high;
    }
  }
  return { min: plain(Int32Array.of(minLow, minHigh)), max: plain(Int32Array.of(maxLow, maxHigh)), nanCount: 0 };
}

/** Zeros count as -0.0 in the minimum and as +0.0 in the maximum (parquet.thrift, ColumnOrder). */
export function floatRange(values: Float32Array, count: number): NumberRange {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let nanCount = 0;
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    if (value > max) max = value;
    if (Number.isNaN(value)) nanCount++;
  }
  if (nanCount === count) return { min: undefined, max: undefined, nanCount };
  return {
    min: plain(Float32Array.of(min === 0 ? -0 : min)),
    max: plain(Float32Array.of(max === 0 ? 0 : max)),
    nanCount,
  };
}

export function doubleRange(values: Float64Array, count: number): NumberRange {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let nanCount = 0;
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    if (value > max) max = value;
    if (Number.isNaN(value)) nanCount++;
  }
  if (nanCount === count) return { min: undefined, max: undefined, nanCount };
  return {
    min: plain(Float64Array.of(min === 0 ? -0 : min)),
    max: plain(Float64Array.of(max === 0 ? 0 : max)),
    nanCount,
  };
}
