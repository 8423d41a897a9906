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
  /**
   * Four words each, in one line of the cache; a power of two of them, at most half full. Of up to 8 bytes: the first four,
   * entry + 1, the last four, length: nothing else is looked at. Of more: hash, entry + 1, start in `plain`, length.
   */
  slots: Int32Array;
  /** Bytes that all entries begin with alike. */
  commonPrefix: number;
}

const FIRST_SLOTS = 8192;
/** Up to so many bytes lie in the slot itself. */
const SHORT = 8;
/** Slots that stay in the first cache anyway are not touched beforehand. */
const TOUCHED_SLOTS = 8192;

// Of the values of one block: the hash, and the first and third word of the slot that would be theirs.
const hashes = new Int32Array(BLOCK);
const firsts = new Int32Array(BLOCK);
const thirds = new Int32Array(BLOCK);

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
  reserve(dictionary, to - from, hashBlock(source, view, starts, lengths, from, to) + (to - from) * header);
  const { slots, plain } = dictionary;
  const mask = (slots.length >> 2) - 1;
  if (mask >= TOUCHED_SLOTS) touched = touch(slots, mask, plain.bytes, to - from);
  let lastStart = -1;
  let lastLength = 0;
  let entry = 0;
  for (let i = from; i < to; i++) {
    const start = starts[i]!;
    const length = lengths[i]!;
    // The symbols of an enum, and constants, lie in one place for all rows.
    if (start !== lastStart || length !== lastLength) {
      const first = firsts[i - from]!;
      const third = thirds[i - from]!;
      let slot = 4 * (hashes[i - from]! & mask);
      entry = slots[slot + 1]!;
      while (
        entry !== 0 &&
        (slots[slot] !== first ||
          slots[slot + 3] !== length ||
          (length <= SHORT
            ? slots[slot + 2] !== third
            : !equalBytes(source, view, start, plain.bytes, plain.view, slots[slot + 2]!, length)))
      ) {
        slot = (slot + 4) & (4 * mask + 3);
        entry = slots[slot + 1]!;
      }
      if (entry === 0) {
        entry = enter(dictionary, source, view, start, length, header);
        slots[slot] = first;
        slots[slot + 1] = entry;
        slots[slot + 2] = length <= SHORT ? third : plain.length - length;
        slots[slot + 3] = length;
      }
      lastStart = start;
      lastLength = length;
    }
    indices[at + i - from] = entry - 1;
  }
}

/** What touch() has added up: kept, so that its loads are not optimized away. */
export let touched = 0;

/** Loads the slots, and the entries they lead to, of a whole block: the misses overlap, and the look-ups then hit. */
function touch(slots: Int32Array, mask: number, bytes: Uint8Array, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const slot = 4 * (hashes[i]! & mask);
    sum ^= slots[slot + 3]! > SHORT ? bytes[slots[slot + 2]!]! : slots[slot + 2]!;
  }
  return sum;
}

/** Fills hashes, firsts and thirds; answers how many bytes the values have. */
function hashBlock(
  source: Uint8Array,
  view: DataView,
  starts: Int32Array,
  lengths: Int32Array,
  from: number,
  to: number,
): number {
  let total = 0;
  let lastStart = -1;
  let lastLength = 0;
  for (let i = from, k = 0; i < to; i++, k++) {
    const start = starts[i]!;
    const length = lengths[i]!;
    total += length;
    if (start === lastStart && length === lastLength) continue;
    lastStart = start;
    lastLength = length;
    if (length > SHORT) hashes[k] = firsts[k] = hashBytes(view, start, length);
    else {
      let first = 0;
      let third = 0;
      if (length >= 4) {
        first = view.getInt32(start, true);
        third = view.getInt32(start + length - 4, true);
      } else for (let at = 0; at < length; at++) first |= source[start + at]! << (8 * at);
      firsts[k] = first;
      thirds[k] = third;
      hashes[k] = hashShort(first, third, length);
    }
  }
  return total;
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

function hashShort(first: number, third: number, length: number): number {
  const hash = Math.imul(first ^ Math.imul(third ^ length, 0x85ebca6b), 0x9e3779b1);
  return Math.imul(hash ^ (hash >>> 15), 0x27d4eb2f) ^ (hash >>> 13);
}

/** Of more than 8 bytes, in two lanes that do not wait for each other. */
function hashBytes(view: DataView, start: number, length: number): number {
  let even = length;
  let odd = 0x27d4eb2f;
  const last = start + length - 8;
  for (let at = start; at < last; at += 8) {
    even = Math.imul(even ^ view.getInt32(at, true), 0x9e3779b1);
    odd = Math.imul(odd ^ view.getInt32(at + 4, true), 0x85ebca6b);
    even = (even << 13) | (even >>> 19);
    odd = (odd << 15) | (odd >>> 17);
  }
  even = Math.imul(even ^ view.getInt32(last, true), 0x9e3779b1);
  odd = Math.imul(odd ^ view.getInt32(last + 4, true), 0x85ebca6b);
  const hash = Math.imul(even ^ (even >>> 15) ^ (odd << 16) ^ (odd >>> 16), 0xc2b2ae35);
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
    const hash = old[i + 3]! > SHORT ? old[i]! : hashShort(old[i]!, old[i + 2]!, old[i + 3]!);
    let slot = 4 * (hash & (size - 1));
    while (slots[slot + 1] !== 0) slot = (slot + 4) & (4 * size - 1);
    for (let n = 0; n < 4; n++) slots[slot + n] = old[i + n]!;
  }
  dictionary.slots = slots;
}
