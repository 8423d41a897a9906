import { BadRecord, MAX_DEPTH, text } from './avro-value.ts';

/** A JSON value as it stands in bytes [start, end). */
export type JsonTree = { start: number; end: number } & (
  | { kind: 'null' | 'true' | 'false' }
  /** `text`: its digits. */
  | { kind: 'number'; text: string }
  /** `text`: without escapes. */
  | { kind: 'string'; text: string }
  | { kind: 'array'; items: JsonTree[] }
  /** Of properties with one name the last. */
  | { kind: 'object'; members: Map<string, JsonTree> }
);

interface Reader {
  bytes: Uint8Array;
  at: number;
  end: number;
}

/**
 * Reads JSON text (RFC 8259), plainly: no byte order mark, nothing before or after but white space, nested at most 500
 * levels. An escaped surrogate without its other half is grammatical, and stands as such in the tree. Throws BadRecord.
 */
export function readJsonTree(bytes: Uint8Array, start: number, length: number): JsonTree {
  const reader: Reader = { bytes, at: start, end: start + length };
  const tree = readValue(reader, 0);
  space(reader);
  if (reader.at < reader.end) throw new BadRecord(`${found(reader)} stands after the value`);
  return tree;
}

function readValue(reader: Reader, depth: number): JsonTree {
  space(reader);
  const start = reader.at;
  const close = <T>(tree: T): T & { start: number; end: number } => ({ ...tree, start, end: reader.at });
  switch (start < reader.end ? reader.bytes[start] : undefined) {
    case 0x7b:
      return close({ kind: 'object', members: readMembers(reader, depth + 1) });
    case 0x5b:
      return close({ kind: 'array', items: readItems(reader, depth + 1) });
    case 0x22:
      return close({ kind: 'string', text: readString(reader) });
  }
  const rest = Buffer.from(reader.bytes.buffer, reader.bytes.byteOffset + start, reader.end - start);
  for (const kind of ['null', 'true', 'false'] as const)
    if (rest.subarray(0, kind.length).toString('latin1') === kind) {
      reader.at += kind.length;
      return close({ kind });
    }
  let length = 0;
  while (length < rest.length && '+-.0123456789Ee'.includes(String.fromCharCode(rest[length]!))) length++;
  const digits = rest.subarray(0, length).toString('latin1');
  if (length === 0) throw new BadRecord(`${found(reader)} stands where a value must be`);
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(digits))
    throw new BadRecord(`${digits.slice(0, 60)} is no number`);
  reader.at += length;
  return close({ kind: 'number', text: digits });
}

function readMembers(reader: Reader, depth: number): Map<string, JsonTree> {
  const members = new Map<string, JsonTree>();
  readList(reader, depth, 0x7d, () => {
    space(reader);
    if (reader.at >= reader.end || reader.bytes[reader.at] !== 0x22)
      throw new BadRecord(`${found(reader)} stands where the name of a property must be`);
    const name = readString(reader);
    space(reader);
    if (reader.at >= reader.end || reader.bytes[reader.at] !== 0x3a)
      throw new BadRecord(`${found(reader)} stands where a colon must be`);
    reader.at++;
    members.set(
      name,
      within(name, () => readValue(reader, depth)),
    );
  });
  return members;
}

function readItems(reader: Reader, depth: number): JsonTree[] {
  const items: JsonTree[] = [];
  readList(reader, depth, 0x5d, () => items.push(within('element', () => readValue(reader, depth))));
  return items;
}

function readList(reader: Reader, depth: number, close: number, item: () => void): void {
  if (depth > MAX_DEPTH) throw new BadRecord(`it is nested deeper than ${MAX_DEPTH} levels`);
  reader.at++;
  space(reader);
  if (reader.at < reader.end && reader.bytes[reader.at] === close) {
    reader.at++;
    return;
  }
  for (;;) {
    item();
    space(reader);
    const byte = reader.at < reader.end ? reader.bytes[reader.at] : undefined;
    if (byte !== close && byte !== 0x2c)
      throw new BadRecord(`${found(reader)} stands where a comma or ${String.fromCharCode(close)} must be`);
    reader.at++;
    if (byte === close) return;
  }
}

const ESCAPES: Record<string, string> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

function readString(reader: Reader): string {
  const { bytes, end } = reader;
  const start = reader.at + 1;
  let at = start;
  for (; at < end && bytes[at] !== 0x22; at++) {
    if (bytes[at]! < 0x20) throw new BadRecord(`a string has the control character ${bytes[at]} in it`);
    if (bytes[at] === 0x5c) at++;
  }
  if (at >= end) throw new BadRecord('the record ends inside a string');
  reader.at = at + 1;
  return text(bytes.subarray(start, at)).replace(/\\(u[0-9a-fA-F]{4}|[\s\S]?)/g, (_all, letters: string) => {
    if (letters.length === 5) return String.fromCharCode(Number.parseInt(letters.slice(1), 16));
    const plain = ESCAPES[letters];
    if (plain === undefined) throw new BadRecord(`a string has the escape \\${letters} in it, which there is not`);
    return plain;
  });
}

function space(reader: Reader): void {
  while (reader.at < reader.end && ' \t\n\r'.includes(String.fromCharCode(reader.bytes[reader.at]!))) reader.at++;
}

function found(reader: Reader): string {
  if (reader.at >= reader.end) return 'the end of the record';
  const byte = reader.bytes[reader.at]!;
  return byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `the byte 0x${byte.toString(16).padStart(2, '0')}`;
}

/** Puts a name before the path of what is wrong in there. */
export function within<T>(name: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof BadRecord)) throw error;
    // Of a path that is too long the ends are told.
    if (error.path.length > 200) error.path = `…${error.path.slice(-100)}`;
    throw error.within(name.slice(0, 100));
  }
}
