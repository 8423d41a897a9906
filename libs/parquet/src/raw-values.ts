import { corrupt } from './corrupt.ts';
import { readByteStreams, readDeltaBinary, readDeltaBytes, readDeltaLengths } from './delta-reader.ts';
import { ENCODING, PHYSICAL } from './format.ts';
import { readHybrid } from './hybrid-reader.ts';

/** Values as the file has them, nulls left out: 32-bit words (INT96 has three), bytes at positions, or booleans. */
export type RawValues =
  | { kind: 'words'; count: number; width: 1 | 2 | 3; words: Int32Array }
  | { kind: 'bytes'; count: number; source: Uint8Array; starts: Int32Array; lengths: Int32Array }
  | { kind: 'boolean'; count: number; values: Uint8Array };

export interface LeafFormat {
  physical: number;
  /** Of FIXED_LEN_BYTE_ARRAY. */
  typeLength: number;
}

/** Reads `count` values that begin at this byte of a page. Nothing greater than the page and `maxBytes` is allocated. */
export function readValues(
  format: LeafFormat,
  encoding: number,
  bytes: Uint8Array,
  at: number,
  count: number,
  dictionary: RawValues | undefined,
  maxBytes: number,
): RawValues {
  const { physical, typeLength } = format;
  const width = wordsOf(physical);
  switch (encoding) {
    case ENCODING.PLAIN:
      return readPlain(format, bytes, at, count);
    case ENCODING.PLAIN_DICTIONARY:
    case ENCODING.RLE_DICTIONARY:
      if (dictionary === undefined) throw corrupt('a page refers to a dictionary that is not there');
      return pick(dictionary, readIndices(bytes, at, count));
    case ENCODING.RLE: {
      if (physical !== PHYSICAL.BOOLEAN) break;
      const values = new Uint8Array(count);
      if (count > 0) readHybrid(bytes, at + 4, bytes.length, 1, count, values);
      return { kind: 'boolean', count, values };
    }
    case ENCODING.DELTA_BINARY_PACKED: {
      if (physical !== PHYSICAL.INT32 && physical !== PHYSICAL.INT64) break;
      const deltaWidth = physical === PHYSICAL.INT32 ? 1 : 2;
      const words = readDeltaBinary({ bytes, at }, deltaWidth, count);
      if (words.length !== count * deltaWidth) throw corrupt('a page holds fewer values than it says');
      return { kind: 'words', count, width: deltaWidth, words };
    }
    case ENCODING.DELTA_LENGTH_BYTE_ARRAY:
      if (physical !== PHYSICAL.BYTE_ARRAY) break;
      return counted(count, { source: bytes, ...readDeltaLengths({ bytes, at }, count) });
    case ENCODING.DELTA_BYTE_ARRAY:
      if (width !== undefined || physical === PHYSICAL.BOOLEAN) break;
      return fixed(format, counted(count, readDeltaBytes({ bytes, at }, count, maxBytes)));
    case ENCODING.BYTE_STREAM_SPLIT: {
      const size = width === undefined ? typeLength : width * 4;
      if (size === 0 || physical === PHYSICAL.BOOLEAN || physical === PHYSICAL.INT96) break;
      if (count * size > bytes.length - at) throw corrupt('a page is cut short');
      return readPlain(format, readByteStreams(bytes, at, count, size), 0, count);
    }
  }
  throw corrupt(`encoding ${encoding} does not go with physical type ${physical}`);
}

/** 32-bit words of a number; undefined for what is no number. */
function wordsOf(physical: number): 1 | 2 | 3 | undefined {
  if (physical === PHYSICAL.INT32 || physical === PHYSICAL.FLOAT) return 1;
  if (physical === PHYSICAL.INT64 || physical === PHYSICAL.DOUBLE) return 2;
  return physical === PHYSICAL.INT96 ? 3 : undefined;
}

function readPlain({ physical, typeLength }: LeafFormat, bytes: Uint8Array, at: number, count: number): RawValues {
  const left = bytes.length - at;
  const width = wordsOf(physical);
  if (width !== undefined) {
    if (count * width * 4 > left) throw corrupt('a page of numbers is cut short');
    const words = new Int32Array(count * width);
    new Uint8Array(words.buffer).set(bytes.subarray(at, at + count * width * 4));
    return { kind: 'words', count, width, words };
  }
  if (physical === PHYSICAL.BOOLEAN) {
    if (count > left * 8) throw corrupt('a page of booleans is cut short');
    const values = new Uint8Array(count);
    for (let i = 0; i < count; i++) values[i] = (bytes[at + (i >> 3)]! >> (i & 7)) & 1;
    return { kind: 'boolean', count, values };
  }
  if (physical === PHYSICAL.FIXED_LEN_BYTE_ARRAY) {
    if (count * typeLength > left) throw corrupt('a page of fixed-length values is cut short');
    const starts = new Int32Array(count);
    for (let i = 0; i < count; i++) starts[i] = at + i * typeLength;
    return { kind: 'bytes', count, source: bytes, starts, lengths: new Int32Array(count).fill(typeLength) };
  }
  if (count * 4 > left) throw corrupt('a page of strings is cut short');
  const starts = new Int32Array(count);
  const lengths = new Int32Array(count);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!placeStrings(view, at, starts, lengths)) throw corrupt('a page of strings is cut short');
  return { kind: 'bytes', count, source: bytes, starts, lengths };
}

function placeStrings(view: DataView, at: number, starts: Int32Array, lengths: Int32Array): boolean {
  const end = view.byteLength;
  for (let i = 0; i < starts.length; i++) {
    if (at + 4 > end) return false;
    const length = view.getUint32(at, true);
    at += 4;
    if (length > end - at) return false;
    starts[i] = at;
    lengths[i] = length;
    at += length;
  }
  return true;
}

function counted(count: number, strings: { source: Uint8Array; starts: Int32Array; lengths: Int32Array }): RawValues {
  if (strings.starts.length !== count) throw corrupt('a page holds fewer strings than it says');
  return { kind: 'bytes', count, ...strings };
}

function fixed({ physical, typeLength }: LeafFormat, values: RawValues): RawValues {
  if (
    physical === PHYSICAL.FIXED_LEN_BYTE_ARRAY &&
    values.kind === 'bytes' &&
    values.lengths.some((n) => n !== typeLength)
  )
    throw corrupt(`a value of another length than ${typeLength}`);
  return values;
}

function readIndices(bytes: Uint8Array, at: number, count: number): Int32Array {
  const indices = new Int32Array(count);
  if (count === 0) return indices;
  if (at >= bytes.length) throw corrupt('a page of dictionary indices is cut short');
  readHybrid(bytes, at + 1, bytes.length, bytes[at]!, count, indices);
  return indices;
}

function pick(dictionary: RawValues, indices: Int32Array): RawValues {
  const count = indices.length;
  if (!within(indices, dictionary.count)) throw corrupt('an index beyond the dictionary');
  switch (dictionary.kind) {
    case 'words': {
      const { width } = dictionary;
      const words = new Int32Array(count * width);
      pickWords(dictionary.words, width, indices, words);
      return { kind: 'words', count, width, words };
    }
    case 'bytes': {
      const starts = new Int32Array(count);
      const lengths = new Int32Array(count);
      pickWords(dictionary.starts, 1, indices, starts);
      pickWords(dictionary.lengths, 1, indices, lengths);
      return { kind: 'bytes', count, source: dictionary.source, starts, lengths };
    }
    case 'boolean':
      return { kind: 'boolean', count, values: Uint8Array.from(indices, (index) => dictionary.values[index]!) };
  }
}

function within(indices: Int32Array, count: number): boolean {
  let greatest = 0;
  for (let i = 0; i < indices.length; i++) if (indices[i]! >>> 0 > greatest) greatest = indices[i]! >>> 0;
  return indices.length === 0 || greatest < count;
}

function pickWords(from: Int32Array, width: number, indices: Int32Array, to: Int32Array): void {
  if (width === 1) for (let i = 0; i < indices.length; i++) to[i] = from[indices[i]!]!;
  else {
    for (let i = 0, k = 0; i < indices.length; i++) {
      const at = indices[i]! * width;
      for (let n = 0; n < width; n++) to[k++] = from[at + n]!;
    }
  }
}

/** Some values of a run of pages. */
export interface Piece {
  raw: RawValues;
  from: number;
  to: number;
}

/** Puts pieces of one column together. Strings that lie in several buffers move into one. */
export function joinPieces(pieces: Piece[], empty: RawValues): RawValues {
  const parts = pieces.filter((piece) => piece.to > piece.from);
  const count = parts.reduce((total, piece) => total + piece.to - piece.from, 0);
  const [first] = parts;
  if (first === undefined) return slice(empty, 0, 0);
  if (parts.length === 1) return slice(first.raw, first.from, first.to);
  const raws = parts.map((piece) => slice(piece.raw, piece.from, piece.to));
  switch (first.raw.kind) {
    case 'words': {
      const words = concatWords(raws.map((raw) => (raw as typeof first.raw & { kind: 'words' }).words));
      return { kind: 'words', count, width: first.raw.width, words };
    }
    case 'boolean':
      return { kind: 'boolean', count, values: concatBytes(raws.map((raw) => (raw as { values: Uint8Array }).values)) };
    case 'bytes': {
      const strings = raws as Extract<RawValues, { kind: 'bytes' }>[];
      const sources = [...new Set(strings.map((raw) => raw.source))];
      const bases = new Map<Uint8Array, number>();
      let length = 0;
      for (const source of sources) {
        bases.set(source, length);
        length += source.length;
      }
      if (length > 2 ** 31 - 1) throw corrupt('a batch of strings of more than 2 GB');
      const starts = concatWords(strings.map((raw) => shifted(raw.starts, bases.get(raw.source)!)));
      const source = sources.length === 1 ? sources[0]! : concatBytes(sources);
      return { kind: 'bytes', count, source, starts, lengths: concatWords(strings.map((raw) => raw.lengths)) };
    }
  }
}

const shifted = (starts: Int32Array, base: number) => (base === 0 ? starts : starts.map((start) => start + base));

export function slice(raw: RawValues, from: number, to: number): RawValues {
  const count = to - from;
  switch (raw.kind) {
    case 'words':
      return { ...raw, count, words: raw.words.subarray(from * raw.width, to * raw.width) };
    case 'boolean':
      return { ...raw, count, values: raw.values.subarray(from, to) };
    case 'bytes':
      return { ...raw, count, starts: raw.starts.subarray(from, to), lengths: raw.lengths.subarray(from, to) };
  }
}

function concatWords(parts: Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function concatBytes(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
