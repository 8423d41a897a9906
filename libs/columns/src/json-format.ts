import type { JsonLeaf } from '@millrace/schema';
import { broken } from './avro-runtime.ts';
import { type Column, takeScratch } from './column.ts';
import { storeScalar } from './json-number.ts';
import { readNull, skipString, space } from './json-scan.ts';

/** A string with a format, by way of the interpreter's own conversion. */
export function readFormat(s: Uint8Array, p: number, e: number, column: Column, n: number, leaf: JsonLeaf): number {
  if (s[p]! <= 32) p = space(s, p, e);
  if (s[p] !== 34) return readNull(s, p, column, n);
  const after = skipString(s, new DataView(s.buffer, s.byteOffset, s.byteLength), p + 1, e);
  const string = JSON.parse(Buffer.from(s.buffer, s.byteOffset + p, after - p).toString()) as string;
  if (/\p{Surrogate}/u.test(string)) broken();
  storeScalar(leaf, column, n, { string });
  return after;
}

// The six bits of a letter of either alphabet (RFC 4648, sections 4 and 5).
const SIX_BITS = new Uint8Array(256).fill(255);
for (const [at, letter] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries())
  SIX_BITS[letter.charCodeAt(0)] = at;
SIX_BITS[45] = 62;
SIX_BITS[95] = 63;

/** base64 → bytes, in the column's scratch. */
export function readBase64(s: Uint8Array, p: number, e: number, column: Column, n: number): number {
  if (s[p]! <= 32) p = space(s, p, e);
  if (s[p] !== 34) return readNull(s, p, column, n);
  const start = ++p;
  while (p < e && s[p] !== 34) p++;
  if (p >= e) broken();
  const after = p + 1;
  let end = p;
  while (end > start && after - 1 - end < 2 && s[end - 1] === 61) end--;
  const rest = (end - start) & 3;
  if (rest === 1 || (end < after - 1 && ((after - 1 - start) & 3) !== 0)) broken();
  const length = ((end - start) * 3) >> 2;
  const to = takeScratch(column, length);
  const out = column.scratch;
  let at = to;
  let marks = 0;
  for (p = start; end - p >= 4; p += 4) {
    const a = SIX_BITS[s[p]!]!;
    const b = SIX_BITS[s[p + 1]!]!;
    const c = SIX_BITS[s[p + 2]!]!;
    const d = SIX_BITS[s[p + 3]!]!;
    marks |= a | b | c | d;
    out[at++] = (a << 2) | (b >> 4);
    out[at++] = (b << 4) | (c >> 2);
    out[at++] = (c << 6) | d;
  }
  if (rest > 0) {
    const a = SIX_BITS[s[p]!]!;
    const b = SIX_BITS[s[p + 1]!]!;
    const c = rest === 3 ? SIX_BITS[s[p + 2]!]! : 0;
    marks |= a | b | c;
    // Bits that no byte takes must be none.
    if ((rest === 2 ? b & 15 : c & 3) !== 0) broken();
    out[at++] = (a << 2) | (b >> 4);
    if (rest === 3) out[at] = (b << 4) | (c >> 2);
  }
  if (marks > 63) broken();
  column.starts[n] = ~to;
  column.lengths[n] = length;
  return after;
}

const two = (s: Uint8Array, p: number): number => {
  const a = s[p]! ^ 48;
  const b = s[p + 1]! ^ 48;
  if (!(a < 10 && b < 10)) broken();
  return a * 10 + b;
};

const DAYS_BEFORE = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
const EPOCH = 719_528;

/** Days since the epoch of the date YYYY-MM-DD at p (proleptic Gregorian). */
function dayAt(s: Uint8Array, p: number): number {
  const year = two(s, p) * 100 + two(s, p + 2);
  const month = two(s, p + 5);
  const day = two(s, p + 8);
  if (s[p + 4] !== 45 || s[p + 7] !== 45 || month < 1 || month > 12 || day < 1) broken();
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const before = DAYS_BEFORE[month]! + (leap && month > 2 ? 1 : 0);
  if (day > DAYS_BEFORE[month + 1]! - DAYS_BEFORE[month]! + (leap && month === 2 ? 1 : 0)) broken();
  // Years begun before this one, of which 0 is a leap year.
  const past =
    year === 0 ? 0 : 1 + Math.floor((year - 1) / 4) - Math.floor((year - 1) / 100) + Math.floor((year - 1) / 400);
  return year * 365 + past + before + day - 1 - EPOCH;
}

/** date → days. */
export function readDate(s: Uint8Array, p: number, e: number, column: Column, n: number): number {
  if (s[p]! <= 32) p = space(s, p, e);
  if (s[p] !== 34) return readNull(s, p, column, n);
  if (e - p < 12 || s[p + 11] !== 34) broken();
  column.ints[n] = dayAt(s, p + 1);
  return p + 12;
}

/** date-time with an offset → microseconds, UTC. */
export function readInstant(s: Uint8Array, p: number, e: number, column: Column, n: number): number {
  if (s[p]! <= 32) p = space(s, p, e);
  if (s[p] !== 34) return readNull(s, p, column, n);
  // The shortest: "2026-11-22T23:05:00Z"
  if (e - p < 22) broken();
  const day = dayAt(s, p + 1);
  const separator = s[p + 11]!;
  if ((separator | 32) !== 0x74 && separator !== 32) broken();
  return readClock(s, p + 12, e, column, n, day * 86_400, true);
}

/** time → microseconds of the day, UTC. */
export function readTime(s: Uint8Array, p: number, e: number, column: Column, n: number): number {
  if (s[p]! <= 32) p = space(s, p, e);
  if (s[p] !== 34) return readNull(s, p, column, n);
  if (e - p < 10) broken();
  return readClock(s, p + 1, e, column, n, 0, false);
}

// HH:MM:SS(.fraction)?(Z|+HH:MM|-HH:MM)" on top of so many seconds.
function readClock(
  s: Uint8Array,
  p: number,
  e: number,
  column: Column,
  n: number,
  seconds: number,
  isInstant: boolean,
): number {
  const hours = two(s, p);
  const minutes = two(s, p + 3);
  const second = two(s, p + 6);
  if (s[p + 2] !== 58 || s[p + 5] !== 58 || hours > 23 || minutes > 59 || second > 59) broken();
  seconds += hours * 3600 + minutes * 60 + second;
  p += 8;
  let micros = 0;
  if (s[p] === 46) {
    let unit = 100_000;
    const first = ++p;
    for (let d = s[p]! ^ 48; d < 10; d = s[++p]! ^ 48) {
      // Finer than a microsecond: nothing is rounded.
      if (unit < 1 && d !== 0) broken();
      micros += d * unit;
      unit = unit < 10 ? 0 : unit / 10;
    }
    if (p === first) broken();
  }
  const zone = s[p]!;
  if ((zone | 32) === 0x7a) p++;
  else if (zone === 43 || zone === 45) {
    const offsetHours = two(s, p + 1);
    const offsetMinutes = two(s, p + 4);
    if (s[p + 3] !== 58 || offsetHours > 23 || offsetMinutes > 59) broken();
    const offset = offsetHours * 3600 + offsetMinutes * 60;
    seconds -= zone === 43 ? offset : -offset;
    p += 6;
  } else if (isInstant) broken();
  if (p >= e || s[p] !== 34) broken();
  if (!isInstant) seconds = (seconds + 86_400) % 86_400;
  storeMicros(column.ints, n, seconds, micros);
  return p + 1;
}

function storeMicros(ints: Int32Array, n: number, seconds: number, micros: number): void {
  if (seconds < 9e9 && seconds > -9e9) {
    const value = seconds * 1_000_000 + micros;
    ints[2 * n] = value;
    ints[2 * n + 1] = Math.floor(value / 4294967296);
    return;
  }
  // Beyond 2^53 microseconds, some 285 years from 1970: in two parts.
  const upper = Math.floor(seconds / 65_536);
  const high = upper * 1_000_000;
  const carry = Math.floor(high / 65_536);
  const low = (high - carry * 65_536) * 65_536 + (seconds - upper * 65_536) * 1_000_000 + micros;
  ints[2 * n] = low;
  ints[2 * n + 1] = carry + Math.floor(low / 4294967296);
}
