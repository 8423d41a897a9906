import type { ByteBuffer } from './byte-buffer.ts';

/**
 * The RLE / bit-packing hybrid (parquet-format Encodings.md, RLE = 3):
 *
 *     runs       := run*
 *     run        := varint(count << 1) value            value: ceil(width / 8) bytes, little endian
 *                 | varint(groups << 1 | 1) packed      groups of 8 values, width bits each, LSB first
 *
 * Eight equal values or more become a run; what lies between is packed, padded with zeros at the very end only.
 */
export function writeIndices(values: Int32Array, count: number, width: number, out: ByteBuffer): void {
  let literals = 0;
  let at = 0;
  while (at < count) {
    const run = indexRun(values, at, count);
    if (run >= 8) {
      if (literals < at) packIndices(values, literals, at, width, out);
      writeRun(values[at]!, run, width, out);
      at += run;
      literals = at;
    } else at += 8;
  }
  if (literals < count) packIndices(values, literals, count, width, out);
}

/** The same for levels, which are kept a byte each. */
export function writeLevels(values: Uint8Array, count: number, width: number, out: ByteBuffer): void {
  let literals = 0;
  let at = 0;
  while (at < count) {
    const run = levelRun(values, at, count);
    if (run >= 8) {
      if (literals < at) packLevels(values, literals, at, width, out);
      writeRun(values[at]!, run, width, out);
      at += run;
      literals = at;
    } else at += 8;
  }
  if (literals < count) packLevels(values, literals, count, width, out);
}

export function writeRun(value: number, count: number, width: number, out: ByteBuffer): void {
  out.varint(count << 1);
  out.reserve(4);
  for (let shift = 0; shift < width; shift += 8) out.bytes[out.length++] = value >>> shift;
}

function indexRun(values: Int32Array, at: number, count: number): number {
  const value = values[at]!;
  let end = at + 1;
  while (end < count && values[end] === value) end++;
  return end - at;
}

function levelRun(values: Uint8Array, at: number, count: number): number {
  const value = values[at]!;
  let end = at + 1;
  while (end < count && values[end] === value) end++;
  return end - at;
}

function packIndices(values: Int32Array, from: number, to: number, width: number, out: ByteBuffer): void {
  const groups = (to - from + 7) >>> 3;
  out.varint((groups << 1) | 1);
  out.reserve(groups * width + 4);
  const { bytes } = out;
  const end = out.length + groups * width;
  let at = out.length;
  let bits = 0;
  let held = 0;
  for (let i = from; i < to; i++) {
    bits |= values[i]! << held;
    held += width;
    while (held >= 8) {
      bytes[at++] = bits;
      bits >>>= 8;
      held -= 8;
    }
  }
  if (held > 0) bytes[at++] = bits;
  while (at < end) bytes[at++] = 0;
  out.length = end;
}

function packLevels(values: Uint8Array, from: number, to: number, width: number, out: ByteBuffer): void {
  const groups = (to - from + 7) >>> 3;
  out.varint((groups << 1) | 1);
  out.reserve(groups * width + 4);
  const { bytes } = out;
  const end = out.length + groups * width;
  let at = out.length;
  let bits = 0;
  let held = 0;
  for (let i = from; i < to; i++) {
    bits |= values[i]! << held;
    held += width;
    if (held >= 8) {
      bytes[at++] = bits;
      bits >>>= 8;
      held -= 8;
    }
  }
  if (held > 0) bytes[at++] = bits;
  while (at < end) bytes[at++] = 0;
  out.length = end;
}

/** Bits that hold every number from 0 to max. */
export const bitWidth = (max: number): number => 32 - Math.clz32(max);
