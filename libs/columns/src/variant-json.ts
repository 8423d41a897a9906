import { MillraceError } from '@millrace/base';

/** A JSON text that is walked byte by byte. */
export interface JsonCursor {
  bytes: Uint8Array;
  at: number;
  end: number;
}

export const CHAR = { QUOTE: 0x22, COMMA: 0x2c, COLON: 0x3a, OPEN: 0x7b, CLOSE: 0x7d, LIST: 0x5b, LIST_END: 0x5d };
const MAX_DEPTH = 500;
const BACKSLASH = 0x5c;
/** RFC 8259, section 6. */
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

function misfit(cursor: JsonCursor, what: string): MillraceError {
  return new MillraceError('invalid', `A variant's text is not JSON: ${what} at byte ${cursor.at}`, {
    code: 'variant-json',
  });
}

/** Checks one whole text and adds the names of its objects' fields. Throws `invalid`, code "variant-json". */
export function collectNames(cursor: JsonCursor, names: Set<string>): void {
  collect(cursor, names, 0);
  space(cursor);
  if (cursor.at < cursor.end) throw misfit(cursor, 'more than one value');
}

function collect(cursor: JsonCursor, names: Set<string>, depth: number): void {
  if (depth > MAX_DEPTH) throw misfit(cursor, `more than ${MAX_DEPTH} levels`);
  const first = peek(cursor);
  if (first === CHAR.OPEN)
    eachMember(cursor, (name) => {
      names.add(name);
      collect(cursor, names, depth + 1);
    });
  else if (first === CHAR.LIST) eachElement(cursor, () => collect(cursor, names, depth + 1));
  else if (first === CHAR.QUOTE) skipString(cursor);
  else {
    const word = takeWord(cursor);
    if (word !== 'null' && word !== 'true' && word !== 'false' && !NUMBER.test(word))
      throw misfit(cursor, `"${word.slice(0, 20)}"`);
  }
}

/** The next byte that is no white space; -1 at the end. */
export function peek(cursor: JsonCursor): number {
  space(cursor);
  return cursor.at < cursor.end ? cursor.bytes[cursor.at]! : -1;
}

/** Calls `member` when the cursor stands before each member's value, which it must take. */
export function eachMember(cursor: JsonCursor, member: (name: string) => void): void {
  cursor.at++;
  if (peek(cursor) === CHAR.CLOSE) {
    cursor.at++;
    return;
  }
  for (;;) {
    if (peek(cursor) !== CHAR.QUOTE) throw misfit(cursor, 'no name');
    const name = takeString(cursor);
    if (peek(cursor) !== CHAR.COLON) throw misfit(cursor, 'no colon');
    cursor.at++;
    member(name);
    if (next(cursor, CHAR.CLOSE)) return;
  }
}

/** The same for the elements of an array. */
export function eachElement(cursor: JsonCursor, element: () => void): void {
  cursor.at++;
  if (peek(cursor) === CHAR.LIST_END) {
    cursor.at++;
    return;
  }
  for (;;) {
    element();
    if (next(cursor, CHAR.LIST_END)) return;
  }
}

/** Takes the comma or the end: whether it was the end. */
function next(cursor: JsonCursor, end: number): boolean {
  const byte = peek(cursor);
  cursor.at++;
  if (byte === end) return true;
  if (byte !== CHAR.COMMA) throw misfit(cursor, 'no comma');
  return false;
}

/** A string's text. */
export function takeString(cursor: JsonCursor): string {
  const start = cursor.at;
  const escaped = skipString(cursor);
  const { buffer, byteOffset } = cursor.bytes;
  const text = Buffer.from(buffer, byteOffset, cursor.end).toString('utf8', start + 1, cursor.at - 1);
  return escaped ? (JSON.parse(`"${text}"`) as string) : text;
}

/** Passes over a string: whether it has escapes. */
function skipString(cursor: JsonCursor): boolean {
  const { bytes, end } = cursor;
  let escaped = false;
  for (let at = cursor.at + 1; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === CHAR.QUOTE) {
      cursor.at = at + 1;
      return escaped;
    }
    if (byte === BACKSLASH) {
      escaped = true;
      at++;
      if (at >= end || !isEscape(bytes, at, end)) break;
    } else if (byte < 0x20) break;
  }
  throw misfit(cursor, 'a broken string');
}

function isEscape(bytes: Uint8Array, at: number, end: number): boolean {
  const kind = String.fromCharCode(bytes[at]!);
  if (kind !== 'u') return '"\\/bfnrt'.includes(kind);
  return at + 4 < end && /^[\da-fA-F]{4}$/.test(String.fromCharCode(...bytes.subarray(at + 1, at + 5)));
}

/** A number, or null, true or false, as it is written. */
export function takeWord(cursor: JsonCursor): string {
  const { bytes, end } = cursor;
  let text = '';
  for (; cursor.at < end; cursor.at++) {
    const byte = bytes[cursor.at]!;
    if (byte <= 0x20 || byte === CHAR.COMMA || byte === CHAR.CLOSE || byte === CHAR.LIST_END) break;
    text += String.fromCharCode(byte);
    if (text.length > 10_000) throw misfit(cursor, 'a number of more than 10,000 digits');
  }
  return text;
}

function space(cursor: JsonCursor): void {
  for (; cursor.at < cursor.end; cursor.at++) {
    const byte = cursor.bytes[cursor.at]!;
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
  }
}
