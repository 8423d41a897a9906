import { ByteBuffer } from './byte-buffer.ts';
import { BLOCK } from './dictionary-choice.ts';

/**
 * A dictionary of byte strings that is filled straight from the bytes they lie in. Entries stand in order of their first
 * appearance, each as PLAIN has it (a length in four bytes before it, or none when all have one length).
 */
export interface BytesDictionary {
  count: number;
  plain: ByteBuffer;
  /** Where entry i's content begins in `plain`, and its length. */
  starts: Int32Array;
  lengths: Int32Array;
  /** Four words each, in one line of the cache: hash, entry + 1, start, length; a power of two of them, at most half full. */
  slots: Int32Array;
  /** Bytes that all entries begin with alike. */
  commonPrefix: number;
}

const FIRST_SLOTS = 8192;
const hashes = new Int32Array(BLOCK);

export const bytesDictionary = (): BytesDictionary => ({
  count: 0,
  plain: new ByteBuffer(65_536),
  starts: new Int32Array(FIRST_SLOTS / 2),
  lengths: new Int32Array(FIRST_SLOTS / 2),
  slots: new Int32Array(4 * FIRST_SLOTS),
  commonPrefix: 0,
});

/** Bytes of its arrays. */
export const capacityOf = ({ plain, starts, lengths, slots }: BytesDictionary): number =>
  plain.bytes.length + starts.byteLength + lengths.byteLength + slots.byteLength;

export function clearBytesDictionary(dictionary: BytesDictionary): void {
  dictionary.slots.fill(0);
  dictionary.count = 0;
  dictionary.plain.length = 0;
}

/**
 * Looks up values [from, to), at most BLOCK of them, entering new ones; their entries go to `indices` from `at` on.
 * `header` = bytes of the length before each entry: 4 or 0.
 */
export function indexBytes(
  dictionary: BytesDictionary,
  source: Uint8Array,
  view: DataView,
  starts: Int32Array,
  lengths: Int32Array,
  from: number,
  to: number,
  indices: Int32Array,
  at: number,
  header: number,
): void {
  let total = 0;
  for (let i = from; i < to; i++) {
    const length = lengths[i]!;
    hashes[i - from] = hashBytes(source, view, starts[i]!, length);
    total += length + header;
  }
  reserve(dictionary, to - from, total);
  const { slots, plain } = dictionary;
  const mask = (slots.length >> 2) - 1;
  touched = touch(slots, mask, plain.bytes, to - from);
  for (let i = from; i < to; i++) {
    const start = starts[i]!;
    const length = lengths[i]!;
    const hash = hashes[i - from]!;
    let slot = 4 * (hash & mask);
    let entry = slots[slot + 1]!;
    while (
      entry !== 0 &&
      (slots[slot] !== hash ||
        slots[slot + 3] !== length ||
        !equalBytes(source, view, start, plain.bytes, plain.view, slots[slot + 2]!, length))
    ) {
      slot = (slot + 4) & (4 * mask + 3);
      entry = slots[slot + 1]!;
    }
    if (entry === 0) {
      entry = enter(dictionary, source, view, start, length, header);
      slots[slot] = hash;
      slots[slot + 1] = entry;
      slots[slot + 2] = plain.length - length;
      slots[slot + 3] = length;
    }
    indices[at + i - from] = entry - 1;
  }
}

/** What touch() has added up: kept, so that its loads are not optimized away. */
export let touched = 0;

/** Loads the slots, and the entries they lead to, of a whole block: the misses overlap, and the look-ups then hit. */
function touch(slots: Int32Array, mask: number, bytes: Uint8Array, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum ^= bytes[slots[4 * (hashes[i]! & mask) + 2]!]!;
  return sum;
}

function enter(
  dictionary: BytesDictionary,
  source: Uint8Array,
  view: DataView,
  start: number,
  length: number,
  header: number,
): number {
  const { plain } = dictionary;
  if (header > 0) plain.view.setUint32(plain.length, length, true);
  const at = plain.length + header;
  copyBytes(source, view, start, plain.bytes, plain.view, at, length);
  plain.length = at + length;
  dictionary.starts[dictionary.count] = at;
  dictionary.lengths[dictionary.count] = length;
  if (dictionary.count === 0) dictionary.commonPrefix = length;
  else {
    const first = dictionary.starts[0]!;
    let common = 0;
    const most = Math.min(dictionary.commonPrefix, length);
    while (common < most && plain.bytes[first + common] === plain.bytes[at + common]) common++;
    dictionary.commonPrefix = common;
  }
  return ++dictionary.count;
}

function hashBytes(source: Uint8Array, view: DataView, start: number, length: number): number {
  let hash = length;
  if (length >= 4) {
    const last = start + length - 4;
    for (let at = start; at < last; at += 4) {
      hash = Math.imul(hash ^ view.getInt32(at, true), 0x9e3779b1);
      hash = (hash << 13) | (hash >>> 19);
    }
    hash = Math.imul(hash ^ view.getInt32(last, true), 0x9e3779b1);
  } else for (let i = 0; i < length; i++) hash = Math.imul(hash ^ source[start + i]!, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}

function equalBytes(
  a: Uint8Array,
  aView: DataView,
  aStart: number,
  b: Uint8Array,
  bView: DataView,
  bStart: number,
  length: number,
): boolean {
  if (length < 4) {
    for (let i = 0; i < length; i++) if (a[aStart + i] !== b[bStart + i]) return false;
    return true;
  }
  const last = length - 4;
  for (let i = 0; i < last; i += 4) {
    if (aView.getInt32(aStart + i, true) !== bView.getInt32(bStart + i, true)) return false;
  }
  return aView.getInt32(aStart + last, true) === bView.getInt32(bStart + last, true);
}

/** Copies a few bytes, a word at a time; many by the engine's own copy. */
export function copyBytes(
  from: Uint8Array,
  fromView: DataView,
  start: number,
  to: Uint8Array,
  toView: DataView,
  at: number,
  length: number,
): void {
  if (length > 96) to.set(from.subarray(start, start + length), at);
  else if (length >= 4) {
    const last = length - 4;
    for (let i = 0; i < last; i += 4) toView.setInt32(at + i, fromView.getInt32(start + i, true), true);
    toView.setInt32(at + last, fromView.getInt32(start + last, true), true);
  } else for (let i = 0; i < length; i++) to[at + i] = from[start + i]!;
}

function reserve(dictionary: BytesDictionary, values: number, bytes: number): void {
  dictionary.plain.reserve(bytes);
  const needed = dictionary.count + values;
  if (needed > dictionary.starts.length) {
    const size = Math.max(dictionary.starts.length * 2, needed);
    const grow = (from: Int32Array) => {
      const grown = new Int32Array(size);
      grown.set(from);
      return grown;
    };
    dictionary.starts = grow(dictionary.starts);
    dictionary.lengths = grow(dictionary.lengths);
  }
  if (needed * 8 <= dictionary.slots.length) return;
  let size = dictionary.slots.length >> 2;
  while (size < needed * 2) size *= 2;
  const old = dictionary.slots;
  const slots = new Int32Array(4 * size);
  for (let i = 0; i < old.length; i += 4) {
    if (old[i + 1] === 0) continue;
    let slot = 4 * (old[i]! & (size - 1));
    while (slots[slot + 1] !== 0) slot = (slot + 4) & (4 * size - 1);
    for (let n = 0; n < 4; n++) slots[slot + n] = old[i + n]!;
  }
  dictionary.slots = slots;
}
