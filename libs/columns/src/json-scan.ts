import { BROKEN, broken, checkUtf8 } from './avro-runtime.ts';
import { MAX_DEPTH } from './avro-value.ts';
import { type Column, setNull, takeScratch } from './column.ts';

/**
 * What generated JSON decoders call. Each reader takes the bytes, a position, the record's end, a column and a row; it
 * passes over white space, writes the value and answers the position after it. What it does not like throws BROKEN, and
 * the interpreter decides about the record. A reader may look beyond the record's end, into its neighbour, where the
 * record breaks off: then the decoder, which checks where it came out, throws everything away.
 */
export { BROKEN, broken };

/** JSON's four white space characters (RFC 8259, section 2) passed over. */
export function space(s: Uint8Array, p: number, e: number): number {
  for (; p < e; p++) {
    const b = s[p];
    if (b !== 32 && b !== 10 && b !== 13 && b !== 9) break;
  }
  return p;
}

const NULL = 0x6c6c756e;

/** null, where a value of another kind could have been. */
export function readNull(s: Uint8Array, p: number, column: Column | undefined, n: number): number {
  p = literal(s, p, NULL);
  if (column !== undefined) setNull(column, n);
  return p;
}

function literal(s: Uint8Array, p: number, word: number): number {
  if ((s[p]! | (s[p + 1]! << 8) | (s[p + 2]! << 16) | (s[p + 3]! << 24)) !== word) broken();
  return p + 4;
}

const TRUE = 0x65757274;
const ALSE = 0x65736c61;

export function readBoolean(s: Uint8Array, p: number, e: number, column: Column, n: number): number {
  if (s[p]! <= 32) p = space(s, p, e);
  if (s[p] === 0x74) {
    column.flags[n] = 1;
    return literal(s, p, TRUE);
  }
  if (s[p] !== 0x66) return readNull(s, p, column, n);
  column.flags[n] = 0;
  return literal(s, p + 1, ALSE);
}

// What ends a plain run of a string: 1 the quote, 2 an escape, 3 a control character, 4 a byte beyond ASCII.
const CLASS = Uint8Array.from({ length: 256 }, (_, b) => (b === 34 ? 1 : b === 92 ? 2 : b < 32 ? 3 : b > 127 ? 4 : 0));

/**
 * A string without escapes as its place in the source, others unescaped into the column's scratch. `view` is of the same
 * bytes.
 */
export function readText(s: Uint8Array, view: DataView, p: number, e: number, column: Column, n: number): number {
  if (s[p]! <= 32) p = space(s, p, e);
  if (s[p] !== 34) return readNull(s, p, column, n);
  const start = ++p;
  p = plainEnd(s, view, p, e);
  if (p < e && s[p] === 34) {
    column.starts[n] = start;
    column.lengths[n] = p - start;
    return p + 1;
  }
  return readOddText(s, view, start, e, column, n);
}

// The end of a plain run, four bytes at a time: a byte's high bit becomes set where it is a quote, a backslash, below 32
// or above 127. Borrows make for false ones only above the first true one, which is all that counts.
function plainEnd(s: Uint8Array, view: DataView, p: number, e: number): number {
  for (; e - p >= 4; p += 4) {
    const word = view.getInt32(p, true);
    const quote = word ^ 0x22222222;
    const slash = word ^ 0x5c5c5c5c;
    const marks =
      (((quote - 0x01010101) & ~quote) | ((slash - 0x01010101) & ~slash) | ((word - 0x20202020) & ~word) | word) &
      0x80808080;
    if (marks !== 0) return p + ((31 - Math.clz32(marks & -marks)) >> 3);
  }
  while (p < e && CLASS[s[p]!] === 0) p++;
  return p;
}

function readOddText(s: Uint8Array, view: DataView, start: number, e: number, column: Column, n: number): number {
  const after = skipString(s, view, start, e);
  const end = after - 1;
  let p = start;
  while (p < end && s[p] !== 92) p++;
  if (p === end) {
    column.starts[n] = start;
    column.lengths[n] = end - start;
    return after;
  }
  const at = takeScratch(column, end - start);
  // Taken for good only when it is whole.
  column.scratchLength = at;
  const length = writeUnescaped(s, start, end, column.scratch, at);
  column.scratchLength = at + length;
  column.starts[n] = ~at;
  column.lengths[n] = length;
  return after;
}

const ESCAPES = new Uint8Array(256);
for (const [letter, byte] of Object.entries({ '"': 34, '\\': 92, '/': 47, b: 8, f: 12, n: 10, r: 13, t: 9 }))
  ESCAPES[letter.charCodeAt(0)] = byte;

/** Writes a string whose grammar has been checked without its escapes; answers how many bytes. Half a surrogate pair is broken. */
function writeUnescaped(s: Uint8Array, p: number, end: number, out: Uint8Array, start: number): number {
  let at = start;
  while (p < end) {
    const b = s[p++]!;
    if (b !== 92) {
      out[at++] = b;
      continue;
    }
    const letter = s[p++]!;
    if (letter !== 0x75) {
      out[at++] = ESCAPES[letter]!;
      continue;
    }
    let code = hex4(s, p);
    p += 4;
    if (code >= 0xd800 && code <= 0xdfff) {
      if (code >= 0xdc00 || end - p < 6 || s[p] !== 92 || s[p + 1] !== 0x75) broken();
      const low = hex4(s, p + 2);
      if (low < 0xdc00 || low > 0xdfff) broken();
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      p += 6;
    }
    if (code < 0x80) out[at++] = code;
    else {
      if (code < 0x800) out[at++] = 0xc0 | (code >> 6);
      else {
        if (code < 0x10000) out[at++] = 0xe0 | (code >> 12);
        else {
          out[at++] = 0xf0 | (code >> 18);
          out[at++] = 0x80 | ((code >> 12) & 63);
        }
        out[at++] = 0x80 | ((code >> 6) & 63);
      }
      out[at++] = 0x80 | (code & 63);
    }
  }
  return at - start;
}

const HEX = new Uint8Array(256).fill(255);
for (let i = 0; i < 16; i++) {
  HEX[i.toString(16).charCodeAt(0)] = i;
  HEX[i.toString(16).toUpperCase().charCodeAt(0)] = i;
}

const hex4 = (s: Uint8Array, p: number): number =>
  (HEX[s[p]!]! << 12) | (HEX[s[p + 1]!]! << 8) | (HEX[s[p + 2]!]! << 4) | HEX[s[p + 3]!]!;

/** The position after a string whose first quote is before p: grammar and UTF-8 checked. */
export function skipString(s: Uint8Array, view: DataView, p: number, e: number): number {
  for (;;) {
    p = plainEnd(s, view, p, e);
    if (p >= e) broken();
    switch (CLASS[s[p]!]) {
      case 1:
        return p + 1;
      case 2: {
        if (e - p < 2) broken();
        const letter = s[p + 1]!;
        if (letter === 0x75) {
          if (e - p < 6 || (HEX[s[p + 2]!]! | HEX[s[p + 3]!]! | HEX[s[p + 4]!]! | HEX[s[p + 5]!]!) > 15) broken();
          p += 6;
        } else {
          if (ESCAPES[letter] === 0) broken();
          p += 2;
        }
        break;
      }
      case 3:
        broken();
        break;
      default: {
        const from = p;
        while (p < e && s[p]! > 127) p++;
        checkUtf8(s, from, p);
      }
    }
  }
}

// 1 in an object, 0 in an array, by depth.
const inObject = new Uint8Array(MAX_DEPTH + 1);

/** Any value, its grammar checked; `depth` is how many objects and arrays it is in. */
export function skipValue(s: Uint8Array, view: DataView, p: number, e: number, depth: number): number {
  const bottom = depth;
  for (;;) {
    if (s[p]! <= 32) p = space(s, p, e);
    if (p >= e) broken();
    const b = s[p];
    let open = false;
    if (b === 34) p = skipString(s, view, p + 1, e);
    else if (b === 123 || b === 91) {
      if (++depth > MAX_DEPTH) broken();
      inObject[depth] = b === 123 ? 1 : 0;
      p = space(s, p + 1, e);
      if (s[p] === (b === 123 ? 125 : 93)) {
        p++;
        depth--;
      } else open = true;
    } else if (b === 0x74) p = literal(s, p, TRUE);
    else if (b === 0x66) p = literal(s, p + 1, ALSE);
    else if (b === 0x6e) p = literal(s, p, NULL);
    else p = skipNumber(s, p);
    while (!open) {
      if (depth === bottom) return p;
      if (s[p]! <= 32) p = space(s, p, e);
      const next = s[p++];
      if (next === 44) break;
      if (next !== (inObject[depth] === 1 ? 125 : 93)) broken();
      depth--;
    }
    if (inObject[depth] === 1) {
      if (s[p]! <= 32) p = space(s, p, e);
      if (s[p] !== 34) broken();
      p = colon(s, skipString(s, view, p + 1, e), e);
    }
  }
}

/** -? (0 | 1-9 0-9*) (. 0-9+)? ((e|E) (+|-)? 0-9+)? */
export function skipNumber(s: Uint8Array, p: number): number {
  if (s[p] === 45) p++;
  if (s[p] === 48) p++;
  else p = digits(s, p);
  if (s[p] === 46) p = digits(s, p + 1);
  if ((s[p]! | 32) === 0x65) {
    p++;
    if (s[p] === 43 || s[p] === 45) p++;
    p = digits(s, p);
  }
  return p;
}

function digits(s: Uint8Array, p: number): number {
  const start = p;
  while ((s[p]! ^ 48) < 10) p++;
  if (p === start) broken();
  return p;
}

/** The value's text, as it stands; null is null. */
export function readJson(
  s: Uint8Array,
  view: DataView,
  p: number,
  e: number,
  column: Column,
  n: number,
  depth: number,
): number {
  if (s[p]! <= 32) p = space(s, p, e);
  if (s[p] === 0x6e) return readNull(s, p, column, n);
  const end = skipValue(s, view, p, e, depth);
  column.starts[n] = p;
  column.lengths[n] = end - p;
  return end;
}

/** A colon, with white space around it. */
export function colon(s: Uint8Array, p: number, e: number): number {
  if (s[p]! <= 32) p = space(s, p, e);
  if (s[p] !== 58) broken();
  return p + 1;
}

/** After an object's value: the position of the next name's quote, or ~(the position after the object). */
export function nextName(s: Uint8Array, p: number, e: number): number {
  if (s[p]! <= 32) p = space(s, p, e);
  if (s[p] === 125) return ~(p + 1);
  if (s[p] !== 44) broken();
  return toName(s, p + 1, e);
}

/** The position of the first name's quote, or ~(the position after the empty object). */
export function firstName(s: Uint8Array, p: number, e: number): number {
  p = space(s, p, e);
  return s[p] === 125 ? ~(p + 1) : toName(s, p, e);
}

function toName(s: Uint8Array, p: number, e: number): number {
  p = space(s, p, e);
  if (p >= e || s[p] !== 34) broken();
  return p;
}

/** After an array's value: the position of the next one, or ~(the position after the array). */
export function nextItem(s: Uint8Array, p: number, e: number): number {
  if (p >= e) broken();
  if (s[p]! <= 32) p = space(s, p, e);
  if (s[p] === 93) return ~(p + 1);
  if (s[p] !== 44) broken();
  return p + 1;
}
