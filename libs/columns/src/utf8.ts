import { isUtf8 } from 'node:buffer';
import { broken } from './broken.ts';

// A native call is dearer than a loop over so many bytes.
const MOST_IN_LOOP = 256;

/**
 * The bits of bytes [p, end) and a few after them, over each other: at most 7 bytes that lie in the view. All bits for more
 * than 1 KB, which checkUtf8() is quicker with.
 */
export function orBytes(view: DataView, p: number, end: number): number {
  if (end - p > 1024) return -1;
  let bits = 0;
  for (; p < end; p += 8) bits |= view.getInt32(p, true) | view.getInt32(p + 4, true);
  return bits;
}

/** Whether all of bytes [p, end) are below 128, as far as that is quick to see: checkUtf8() is for the others. */
export function isAscii(view: DataView, bytes: Uint8Array, p: number, end: number): boolean {
  const length = end - p;
  let bits = 0;
  if (length > 3) {
    bits = view.getInt32(p, true) | view.getInt32(end - 4, true);
    if (length > 8) {
      bits |= view.getInt32(p + 4, true) | view.getInt32(end - 8, true);
      if (length > 16) bits |= orBytes(view, p + 8, end - 8);
    }
  } else if (length > 0) bits = bytes[p]! | bytes[p + (length >> 1)]! | bytes[end - 1]!;
  return (bits & -0x7f7f7f80) === 0;
}

/** Whether bytes [p, end) are UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF); throws if not. */
export function checkUtf8(bytes: Uint8Array, p: number, end: number): void {
  if (end - p > MOST_IN_LOOP) {
    if (!isUtf8(bytes.subarray(p, end))) broken();
    return;
  }
  while (p < end) {
    const b = bytes[p++]!;
    if (b < 0x80) continue;
    let more = 0;
    let low = 0x80;
    let high = 0xbf;
    if (b >= 0xc2 && b <= 0xdf) more = 1;
    else if (b >= 0xe0 && b <= 0xef) {
      more = 2;
      if (b === 0xe0) low = 0xa0;
      else if (b === 0xed) high = 0x9f;
    } else if (b >= 0xf0 && b <= 0xf4) {
      more = 3;
      if (b === 0xf0) low = 0x90;
      else if (b === 0xf4) high = 0x8f;
    } else broken();
    if (more > end - p) broken();
    for (; more > 0; more--, low = 0x80, high = 0xbf) {
      const next = bytes[p++]!;
      if (next < low || next > high) broken();
    }
  }
}
