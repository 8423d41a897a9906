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
    if (at + 8 > count || values[at] !== values[at + 7] || !eightAlike(values, at)) {
      at += 8;
      continue;
    }
    if (literals < at) packIndices(values, literals, at, width, out);
    const value = values[at]!;
    const begin = at;
    at += 8;
    while (at < count && values[at] === value) at++;
    writeRun(value, at - begin, width, out);
    literals = at;
  }
  if (literals < count) packIndices(values, literals, count, width, out);
}

/** The same for levels, which are kept a byte each. */
export function writeLevels(values: Uint8Array, count: number, width: number, out: ByteBuffer): void {
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  let literals = 0;
  let at = 0;
  while (at < count) {
    const four = at + 8 > count ? 0 : view.getInt32(at, true);
    if (at + 8 > count || four !== view.getInt32(at + 4, true) || four !== Math.imul(four & 255, 0x01010101)) {
      at += 8;
      continue;
    }
    if (literals < at) packLevels(values, view, literals, at, width, out);
    const begin = at;
    at += 8;
    while (at + 4 <= count && view.getInt32(at, true) === four) at += 4;
    while (at < count && values[at] === (four & 255)) at++;
    writeRun(four & 255, at - begin, width, out);
    literals = at;
  }
  if (literals < count) packLevels(values, view, literals, count, width, out);
}

export function writeRun(value: number, count: number, width: number, out: ByteBuffer): void {
  out.varint(count << 1);
  out.reserve(4);
  for (let shift = 0; shift < width; shift += 8) out.bytes[out.length++] = value >>> shift;
}

function eightAlike(values: Int32Array, at: number): boolean {
  const value = values[at]!;
  for (let i = at + 1; i < at + 7; i++) if (values[i] !== value) return false;
  return true;
}

/** The header of a packed run, and room for it, and for a word beyond. */
function beginPacked(count: number, width: number, out: ByteBuffer): void {
  const groups = (count + 7) >>> 3;
  out.varint((groups << 1) | 1);
  out.reserve(groups * width + 4);
}

function packIndices(values: Int32Array, from: number, to: number, width: number, out: ByteBuffer): void {
  beginPacked(to - from, width, out);
  const { view } = out;
  const end = out.length + ((to - from + 7) >>> 3) * width;
  let at = out.length;
  let bits = 0;
  let held = 0;
  for (let i = from; i < to; i++) {
    const value = values[i]!;
    bits |= value << held;
    held += width;
    if (held >= 32) {
      view.setInt32(at, bits, true);
      at += 4;
      held -= 32;
      // What did not fit: nothing where it fitted exactly, as an index has less than 32 bits.
      bits = value >>> (width - held);
    }
  }
  endPacked(out, at, bits, end);
}

function packLevels(
  values: Uint8Array,
  view: DataView,
  from: number,
  to: number,
  width: number,
  out: ByteBuffer,
): void {
  beginPacked(to - from, width, out);
  const end = out.length + ((to - from + 7) >>> 3) * width;
  let at = out.length;
  let i = from;
  // Eight at a time, while they fit a word.
  if (width <= 4) {
    for (; i + 8 <= to; i += 8, at += width) {
      const bits =
        packFour(view.getInt32(i, true), width) | (packFour(view.getInt32(i + 4, true), width) << (4 * width));
      out.view.setInt32(at, bits, true);
    }
  }
  let bits = 0;
  let held = 0;
  for (; i < to; i++) {
    bits |= values[i]! << held;
    held += width;
    for (; held >= 8; held -= 8, bits >>>= 8) out.bytes[at++] = bits;
  }
  endPacked(out, at, bits, end);
}

/** Four levels of a byte each, next to each other. */
const packFour = (four: number, width: number): number =>
  (four & 15) | (((four >>> 8) & 15) << width) | (((four >>> 16) & 15) << (2 * width)) | ((four >>> 24) << (3 * width));

/** Writes the bits that are left, and zeros to the end of the group. */
function endPacked(out: ByteBuffer, from: number, bits: number, end: number): void {
  let at = from;
  for (; at < end; at++, bits >>>= 8) out.bytes[at] = bits;
  out.length = end;
}

/** Bits that hold every number from 0 to max. */
export const bitWidth = (max: number): number => 32 - Math.clz32(max);
