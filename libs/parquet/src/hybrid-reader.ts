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
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
      if (out instanceof Uint8Array) unpackLevels(view, at, width, out, read, length);
      else unpackIndices(view, at, width, out, read, length);
      at += groups * width;
      read += length;
    }
  }
}

/** The value of which all `count` are one run; undefined when they are not. */
export function onlyRun(
  bytes: Uint8Array,
  from: number,
  end: number,
  width: number,
  count: number,
): number | undefined {
  let header = 0;
  let at = from;
  for (let shift = 0; shift <= 28 && at < end; shift += 7) {
    const part = bytes[at++]!;
    header |= (part & 127) << shift;
    if (part < 128)
      return (header & 1) === 0 && header >>> 1 >= count && width <= 8 && at < end ? bytes[at] : undefined;
  }
  return undefined;
}

/** Values of `width` bits, LSB first. A word of four bytes holds any of up to 25 bits, wherever in a byte it begins. */
export function unpackIndices(
  view: DataView,
  at: number,
  width: number,
  out: Int32Array,
  from: number,
  count: number,
): void {
  let i = from;
  const end = from + count;
  if (width <= 25) {
    const mask = 2 ** width - 1;
    const last = view.byteLength - width - 4;
    for (; i + 8 <= end && at <= last; i += 8, at += width) {
      for (let n = 0, bit = 0; n < 8; n++, bit += width)
        out[i + n] = (view.getUint32(at + (bit >>> 3), true) >>> (bit & 7)) & mask;
    }
  }
  for (let bit = 0; i < end; i++, bit += width) out[i] = bitsAt(view, at, bit, width);
}

function unpackLevels(view: DataView, at: number, width: number, out: Uint8Array, from: number, count: number): void {
  if (width > 8) throw corrupt(`levels of ${width} bits`);
  let i = from;
  const end = from + count;
  const mask = (1 << width) - 1;
  const last = view.byteLength - 8;
  if (width <= 4) {
    for (; i + 8 <= end && at <= last; i += 8, at += width) {
      const word = view.getUint32(at, true);
      out[i] = word & mask;
      out[i + 1] = (word >>> width) & mask;
      out[i + 2] = (word >>> (2 * width)) & mask;
      out[i + 3] = (word >>> (3 * width)) & mask;
      const more = word >>> (4 * width);
      out[i + 4] = more & mask;
      out[i + 5] = (more >>> width) & mask;
      out[i + 6] = (more >>> (2 * width)) & mask;
      out[i + 7] = (more >>> (3 * width)) & mask;
    }
  }
  for (let bit = 0; i < end; i++, bit += width) out[i] = bitsAt(view, at, bit, width);
}

function bitsAt(view: DataView, at: number, bit: number, width: number): number {
  let value = 0;
  for (let read = 0; read < width; ) {
    const place = bit + read;
    const take = Math.min(8 - (place & 7), width - read);
    value |= ((view.getUint8(at + Math.floor(place / 8)) >> (place & 7)) & ((1 << take) - 1)) << read;
    read += take;
  }
  return value;
}

/** Levels of the obsolete BIT_PACKED encoding (Encodings.md, BIT_PACKED = 4): MSB first, no header. Answers where they end. */
export function readBitPacked(bytes: Uint8Array, from: number, width: number, count: number, out: Uint8Array): number {
  const end = from + Math.ceil((count * width) / 8);
  if (end > bytes.length) throw corrupt('bit-packed levels are cut short');
  let held = 0;
  let bits = 0;
  for (let i = 0, at = from; i < count; i++) {
    if (held < width) {
      bits = ((bits << 8) | bytes[at++]!) & 0xffff;
      held += 8;
    }
    out[i] = (bits >> (held - width)) & ((1 << width) - 1);
    held -= width;
  }
  return end;
}
