import { broken } from './broken.ts';
import { type Column, takeScratch } from './column.ts';

// The first byte of a big-endian two's complement number that is not only its sign.
function significant(bytes: Uint8Array, p: number, end: number): number {
  const sign = bytes[p]! >> 7 === 0 ? 0 : 255;
  while (end - p > 1 && bytes[p] === sign && bytes[p + 1]! >> 7 === sign >> 7) p++;
  return p;
}

/** A decimal of at most 9 digits; `most` is 10^precision - 1. */
export function decimal32(bytes: Uint8Array, p: number, end: number, out: Int32Array, at: number, most: number): void {
  if (p === end) {
    out[at] = 0;
    return;
  }
  p = significant(bytes, p, end);
  if (end - p > 4) broken();
  let value = bytes[p]! >> 7 === 0 ? 0 : -1;
  for (; p < end; p++) value = (value << 8) | bytes[p]!;
  if (value > most || value < -most) broken();
  out[at] = value;
}

/** A decimal of 10 to 18 digits; the halves of 10^precision - 1 are mostLo (unsigned), mostHi. */
export function decimal64(
  bytes: Uint8Array,
  p: number,
  end: number,
  out: Int32Array,
  at: number,
  mostLo: number,
  mostHi: number,
): void {
  if (p === end) {
    out[at] = 0;
    out[at + 1] = 0;
    return;
  }
  p = significant(bytes, p, end);
  if (end - p > 8) broken();
  let lo = bytes[p]! >> 7 === 0 ? 0 : -1;
  let hi = lo;
  for (; p < end; p++) {
    hi = (hi << 8) | (lo >>> 24);
    lo = (lo << 8) | bytes[p]!;
  }
  out[at] = lo;
  out[at + 1] = hi;
  if (hi < 0) {
    lo = -lo | 0;
    hi = ~hi + (lo === 0 ? 1 : 0);
  }
  if (hi < 0 || hi > mostHi || (hi === mostHi && lo >>> 0 > mostLo)) broken();
}

/** A decimal of more than 18 digits, sign-extended to `width` bytes; `most` is 10^precision - 1 in that width. */
export function decimalWide(
  bytes: Uint8Array,
  p: number,
  end: number,
  column: Column,
  n: number,
  width: number,
  most: Uint8Array,
): void {
  const start = takeScratch(column, width);
  const out = column.scratch;
  if (p < end) p = significant(bytes, p, end);
  if (end - p > width) broken();
  const sign = p < end && bytes[p]! > 127 ? 255 : 0;
  const pad = width - (end - p);
  for (let i = 0; i < width; i++) out[start + i] = i < pad ? sign : bytes[p + i - pad]!;
  checkDigits(out, start, width, most, sign);
  column.starts[n] = ~start;
  column.lengths[n] = width;
}

// |value| <= most, byte by byte; for a negative value |value| = ~value + 1, so ~value < most.
function checkDigits(out: Uint8Array, start: number, width: number, most: Uint8Array, sign: number): void {
  for (let i = 0; i < width; i++) {
    const digit = out[start + i]! ^ sign;
    if (digit < most[i]!) return;
    if (digit > most[i]!) broken();
  }
  if (sign !== 0) broken();
}
