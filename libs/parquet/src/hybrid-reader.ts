import { corrupt } from './corrupt.ts';

/** Reads `count` values of the RLE / bit-packing hybrid (grammar: hybrid-writer.ts) from bytes [from, end). */
export function readHybrid(
  bytes: Uint8Array,
  from: number,
  end: number,
  width: number,
  count: number,
  out: Int32Array | Uint8Array,
): void {
  if (width > 32) throw corrupt(`a bit width of ${width}`);
  let at = from;
  let read = 0;
  while (read < count) {
    let header = 0;
    for (let shift = 0; ; shift += 7) {
      if (at >= end || shift > 28) throw corrupt('levels or indices are cut short');
      const part = bytes[at++]!;
      header |= (part & 127) << shift;
      if (part < 128) break;
    }
    header >>>= 0;
    if (header % 2 === 0) {
      const length = Math.min(header >>> 1, count - read);
      let value = 0;
      const valueBytes = (width + 7) >> 3;
      if (length === 0 || at + valueBytes > end) throw corrupt('a run of levels or indices is cut short');
      for (let i = 0; i < valueBytes; i++) value |= bytes[at++]! << (8 * i);
      out.fill(value, read, read + length);
      read += length;
    } else {
      const groups = header >>> 1;
      const length = Math.min(groups * 8, count - read);
      // Some writers cut the last group's padding off.
      if (groups === 0 || at + ((length * width + 7) >> 3) > end)
        throw corrupt('packed levels or indices are cut short');
      if (out instanceof Uint8Array) unpackLevels(bytes, at, width, out, read, length);
      else unpackIndices(bytes, at, width, out, read, length);
      at += groups * width;
      read += length;
    }
  }
}

function unpackIndices(
  bytes: Uint8Array,
  at: number,
  width: number,
  out: Int32Array,
  from: number,
  count: number,
): void {
  if (width > 24) {
    unpackWide(bytes, at, width, out, from, count);
    return;
  }
  const mask = 2 ** width - 1;
  let bits = 0;
  let held = 0;
  for (let i = from; i < from + count; i++) {
    while (held < width) {
      bits |= bytes[at++]! << held;
      held += 8;
    }
    out[i] = bits & mask;
    bits >>>= width;
    held -= width;
  }
}

function unpackWide(bytes: Uint8Array, at: number, width: number, out: Int32Array, from: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const bit = i * width;
    let value = 0;
    for (let n = 0; n < width; n++) {
      const place = bit + n;
      value |= ((bytes[at + (place >>> 3)]! >> (place & 7)) & 1) << n;
    }
    out[from + i] = value;
  }
}

function unpackLevels(
  bytes: Uint8Array,
  at: number,
  width: number,
  out: Uint8Array,
  from: number,
  count: number,
): void {
  if (width > 8) throw corrupt(`levels of ${width} bits`);
  const mask = (1 << width) - 1;
  let bits = 0;
  let held = 0;
  for (let i = from; i < from + count; i++) {
    if (held < width) {
      bits |= bytes[at++]! << held;
      held += 8;
    }
    out[i] = bits & mask;
    bits >>>= width;
    held -= width;
  }
}
