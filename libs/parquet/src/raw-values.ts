import { corrupt } from './corrupt.ts';
import { readByteStreams, readDeltaBinary, readDeltaBytes, readDeltaLengths } from './delta-reader.ts';
import { ENCODING, PHYSICAL } from './format.ts';
import { readHybrid } from './hybrid-reader.ts';
import { bytesOf, type PageMemory, wordsOf } from './page-memory.ts';

/** Values as the file has them, nulls left out: 32-bit words (INT96 has three), bytes at positions, or booleans. */
export type RawValues = RawWords | RawBytes | RawBooleans;

export interface RawWords {
  kind: 'words';
  count: number;
  width: 1 | 2 | 3;
  words: Int32Array;
  entries?: Entries | undefined;
}

export interface RawBytes {
  kind: 'bytes';
  count: number;
  source: Uint8Array;
  starts: Int32Array;
  lengths: Int32Array;
  entries?: Entries | undefined;
}

interface RawBooleans {
  kind: 'boolean';
  count: number;
  values: Uint8Array;
}

/** Where values come from a dictionary: value i is the dictionary's value indices[i]. They are there as values too. */
export interface Entries {
  dictionary: RawWords | RawBytes;
  indices: Int32Array;
}

export interface LeafFormat {
  physical: number;
  /** Of FIXED_LEN_BYTE_ARRAY. */
  typeLength: number;
}

/**
 * Reads `count` values that begin at this byte of a page, into the memory. Nothing greater than what they take and
 * `maxBytes` is allocated.
 */
export function readValues(
  format: LeafFormat,
  encoding: number,
  bytes: Uint8Array,
  at: number,
  count: number,
  dictionary: RawValues | undefined,
  maxBytes: number,
  memory: PageMemory,
): RawValues {
  const { physical, typeLength } = format;
  const width = wordsOfType(physical);
  switch (encoding) {
    case ENCODING.PLAIN:
      return readPlain(format, bytes, at, count, memory);
    case ENCODING.PLAIN_DICTIONARY:
    case ENCODING.RLE_DICTIONARY:
      if (dictionary === undefined) throw corrupt('a page refers to a dictionary that is not there');
      return pick(dictionary, readIndices(bytes, at, count, memory), memory);
    case ENCODING.RLE: {
      if (physical !== PHYSICAL.BOOLEAN) break;
      const values = bytesOf(memory, 'flags', count).subarray(0, count);
      if (count > 0) readHybrid(bytes, at + 4, bytes.length, 1, count, values);
      return { kind: 'boolean', count, values };
    }
    case ENCODING.DELTA_BINARY_PACKED: {
      if (physical !== PHYSICAL.INT32 && physical !== PHYSICAL.INT64) break;
      const deltaWidth = physical === PHYSICAL.INT32 ? 1 : 2;
      const words = wordsOf(memory, 'words', count * deltaWidth).subarray(0, count * deltaWidth);
      readDeltaBinary({ bytes, at }, deltaWidth, count, words);
      return { kind: 'words', count, width: deltaWidth, words };
    }
    case ENCODING.DELTA_LENGTH_BYTE_ARRAY: {
      if (physical !== PHYSICAL.BYTE_ARRAY) break;
      const { starts, lengths } = places(memory, count);
      readDeltaLengths({ bytes, at }, count, starts, lengths);
      return { kind: 'bytes', count, source: bytes, starts, lengths };
    }
    case ENCODING.DELTA_BYTE_ARRAY: {
      if (width !== undefined || physical === PHYSICAL.BOOLEAN) break;
      const { starts, lengths } = places(memory, count);
      const { source } = readDeltaBytes({ bytes, at }, count, maxBytes, starts, lengths);
      if (physical === PHYSICAL.FIXED_LEN_BYTE_ARRAY && lengths.some((length) => length !== typeLength))
        throw corrupt(`a value of another length than ${typeLength}`);
      return { kind: 'bytes', count, source, starts, lengths };
    }
    case ENCODING.BYTE_STREAM_SPLIT: {
      const size = width === undefined ? typeLength : width * 4;
      if (size === 0 || physical === PHYSICAL.BOOLEAN || physical === PHYSICAL.INT96) break;
      if (count * size > bytes.length - at) throw corrupt('a page is cut short');
      return readPlain(format, readByteStreams(bytes, at, count, size), 0, count, memory);
    }
  }
  throw corrupt(`encoding ${encoding} does not go with physical type ${physical}`);
}

/** 32-bit words of a number; undefined for what is no number. */
function wordsOfType(physical: number): 1 | 2 | 3 | undefined {
  if (physical === PHYSICAL.INT32 || physical === PHYSICAL.FLOAT) return 1;
  if (physical === PHYSICAL.INT64 || physical === PHYSICAL.DOUBLE) return 2;
  return physical === PHYSICAL.INT96 ? 3 : undefined;
}

const places = (memory: PageMemory, count: number) => ({
  starts: wordsOf(memory, 'starts', count).subarray(0, count),
  lengths: wordsOf(memory, 'lengths', count).subarray(0, count),
});

function readPlain(
  { physical, typeLength }: LeafFormat,
  bytes: Uint8Array,
  at: number,
  count: number,
  memory: PageMemory,
): RawValues {
  const left = bytes.length - at;
  const width = wordsOfType(physical);
  if (width !== undefined) {
    if (count * width * 4 > left) throw corrupt('a page of numbers is cut short');
    const words = wordsOf(memory, 'words', count * width).subarray(0, count * width);
    new Uint8Array(words.buffer, words.byteOffset, words.byteLength).set(bytes.subarray(at, at + count * width * 4));
    return { kind: 'words', count, width, words };
  }
  if (physical === PHYSICAL.BOOLEAN) {
    if (count > left * 8) throw corrupt('a page of booleans is cut short');
    const values = bytesOf(memory, 'flags', count).subarray(0, count);
    for (let i = 0; i < count; i++) values[i] = (bytes[at + (i >> 3)]! >> (i & 7)) & 1;
    return { kind: 'boolean', count, values };
  }
  if (physical === PHYSICAL.FIXED_LEN_BYTE_ARRAY) {
    if (count * typeLength > left) throw corrupt('a page of fixed-length values is cut short');
    const { starts, lengths } = places(memory, count);
    for (let i = 0; i < count; i++) starts[i] = at + i * typeLength;
    return { kind: 'bytes', count, source: bytes, starts, lengths: lengths.fill(typeLength) };
  }
  if (count * 4 > left) throw corrupt('a page of strings is cut short');
  const { starts, lengths } = places(memory, count);
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

function readIndices(bytes: Uint8Array, at: number, count: number, memory: PageMemory): Int32Array {
  const indices = wordsOf(memory, 'indices', count).subarray(0, count);
  if (count === 0) return indices;
  if (at >= bytes.length) throw corrupt('a page of dictionary indices is cut short');
  readHybrid(bytes, at + 1, bytes.length, bytes[at]!, count, indices);
  return indices;
}

function pick(dictionary: RawValues, indices: Int32Array, memory: PageMemory): RawValues {
  const count = indices.length;
  if (!within(indices, dictionary.count)) throw corrupt('an index beyond the dictionary');
  switch (dictionary.kind) {
    case 'words': {
      const { width } = dictionary;
      const words = wordsOf(memory, 'words', count * width).subarray(0, count * width);
      pickWords(dictionary.words, width, indices, words);
      return { kind: 'words', count, width, words, entries: { dictionary, indices } };
    }
    case 'bytes': {
      const { starts, lengths } = places(memory, count);
      pickWords(dictionary.starts, 1, indices, starts);
      pickWords(dictionary.lengths, 1, indices, lengths);
      return { kind: 'bytes', count, source: dictionary.source, starts, lengths, entries: { dictionary, indices } };
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
  else if (width === 2) {
    for (let i = 0; i < indices.length; i++) {
      const at = 2 * indices[i]!;
      to[2 * i] = from[at]!;
      to[2 * i + 1] = from[at + 1]!;
    }
  } else {
    for (let i = 0, k = 0; i < indices.length; i++) {
      const at = indices[i]! * width;
      for (let n = 0; n < width; n++) to[k++] = from[at + n]!;
    }
  }
}

/** Values [from, to) of these: views, no copies. */
export function slice(raw: RawValues, from: number, to: number): RawValues {
  const count = to - from;
  if (from === 0 && count === raw.count) return raw;
  if (raw.kind === 'boolean') return { ...raw, count, values: raw.values.subarray(from, to) };
  const entries = raw.entries && { ...raw.entries, indices: raw.entries.indices.subarray(from, to) };
  if (raw.kind === 'words')
    return { ...raw, count, words: raw.words.subarray(from * raw.width, to * raw.width), entries };
  return { ...raw, count, starts: raw.starts.subarray(from, to), lengths: raw.lengths.subarray(from, to), entries };
}
