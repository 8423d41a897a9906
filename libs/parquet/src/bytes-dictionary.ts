import { randomBytes } from 'node:crypto';
import { ByteBuffer } from './byte-buffer.ts';
import { copyBytes, equalBytes, wordAt } from './byte-strings.ts';
import { BLOCK } from './dictionary-choice.ts';

/**
 * A dictionary of byte strings that is filled straight from the bytes they lie in. Entries stand in order of their first
 * appearance, each as PLAIN has it (a length in four bytes before it, or none when all have one length).
 */
export interface BytesDictionary {
  count: number;
  plain: ByteBuffer;
  /**
   * Eight words an entry, which are half a line of the cache: its first 16 bytes (zeros for those that are missing), its
   * length, where its content begins in `plain`, its hash, nothing. Up to 16 bytes are compared here, without `plain`.
   */
  entries: Int32Array;
  /** By hash: the entry + 1, and above it the hash's upper bits. A power of two of them, at most half full. */
  slots: Int32Array;
}

/** Words of an entry, and in which of them lies what. */
export const ENTRY_WORDS = 8;
export const LENGTH_WORD = 4;
export const START_WORD = 5;
const HASH_WORD = 6;
/** A slot has so many bits for the entry: more than DICTIONARY_BYTES have room for. */
const ENTRY_BITS = 0xfffff;

const FIRST_SLOTS = 1024;
/** Bytes that an entry has in words. */
const INLINE = 16;
/** Fewer slots stay in the second cache, with their entries: touching them beforehand costs a third more than it brings. */
const TOUCHED_SLOTS = 65_536;

/** Another for each process: nobody can write values whose hashes all collide. */
const SEED = randomBytes(4).readInt32LE();

/** The hashes of one block. */
const hashes = new Int32Array(BLOCK);

/** What is kept of the first 16 bytes of a value, four words by its length. */
const MASKS = Int32Array.from({ length: 4 * (INLINE + 1) }, (_, i) => {
  const bytes = Math.max(0, Math.min(4, (i >> 2) - 4 * (i & 3)));
  return bytes === 4 ? -1 : (1 << (8 * bytes)) - 1;
});

export const bytesDictionary = (): BytesDictionary => ({
  count: 0,
  plain: new ByteBuffer(16_384),
  entries: new Int32Array((ENTRY_WORDS * FIRST_SLOTS) / 2),
  slots: new Int32Array(FIRST_SLOTS),
});

/** Bytes of its arrays. */
export const capacityOf = ({ plain, entries, slots }: BytesDictionary): number =>
  plain.bytes.length + entries.byteLength + slots.byteLength;

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
  const safe = source.length - INLINE;
  const { slots, entries } = dictionary;
  if (slots.length >= TOUCHED_SLOTS) {
    hashValues(view, safe, starts, lengths, from, to);
    touched = touch(slots, entries, to - from);
  }
  for (let i = from; i < to; i++) {
    i = findValues(dictionary, view, safe, starts, lengths, i, to, indices, at - from, header);
    if (i < to) indices[at + i - from] = findOrEnter(dictionary, source, view, starts[i]!, lengths[i]!, header);
  }
}

// The loops below run once for every value of every column. Their numbers stand in them, or are taken into them as 32-bit
// integers before they begin: the compiled code would load and check numbers of the module, and parameters, at each use
// (29 ns a value became 23). What is rare is left to findOrEnter().

/** Fills the hashes of a block, leaving out long values and those at the end of the source. */
function hashValues(
  view: DataView,
  safe: number,
  starts: Int32Array,
  lengths: Int32Array,
  from: number,
  to: number,
): void {
  const masks = MASKS;
  const out = hashes;
  const seed = SEED | 0;
  const last = safe | 0;
  const end = to | 0;
  let k = 0;
  for (let i = from | 0; i < end; i++) {
    const start = starts[i]!;
    const length = lengths[i]!;
    if (start > last || length > 16) continue;
    const cut = length << 2;
    const a = view.getInt32(start, true) & masks[cut]!;
    const b = view.getInt32((start + 4) | 0, true) & masks[cut | 1]!;
    const c = view.getInt32((start + 8) | 0, true) & masks[cut | 2]!;
    const d = view.getInt32((start + 12) | 0, true) & masks[cut | 3]!;
    out[k] = finish(evenOf(a, b, length, seed), oddOf(c, d, seed));
    k = (k + 1) | 0;
  }
}

/** Loads the slots that hashes lead to, and the entries that those lead to: the misses overlap, and look-ups then hit. */
function touch(slots: Int32Array, entries: Int32Array, count: number): number {
  const hashed = hashes;
  const mask = slots.length - 1;
  const last = entries.length - 1;
  let sum = 0;
  for (let k = 0; k < count; k++) sum ^= entries[((slots[hashed[k]! & mask]! - 1) << 3) & last]!;
  return sum;
}

/** What touch() has added up: kept, so that its loads are not optimized away. */
export let touched = 0;

/**
 * Looks values up, and enters new ones. Stops at the first that findOrEnter() has to take: it ends the source, or there is
 * no room for it; answers which, or `to`.
 */
function findValues(
  dictionary: BytesDictionary,
  view: DataView,
  safe: number,
  starts: Int32Array,
  lengths: Int32Array,
  from: number,
  to: number,
  indices: Int32Array,
  shift: number,
  header: number,
): number {
  const masks = MASKS;
  const seed = SEED | 0;
  const { slots, entries } = dictionary;
  const { view: plain } = dictionary.plain;
  const mask = (slots.length - 1) | 0;
  const room = (plain.byteLength - header - 16) | 0;
  const most = ((slots.length >> 1) - 1) | 0;
  const head = header | 0;
  const last = safe | 0;
  const end = to | 0;
  let count = dictionary.count | 0;
  let plainLength = dictionary.plain.length | 0;
  let at = (from + shift) | 0;
  let i = from | 0;
  for (; i < end; i++) {
    const start = starts[i]!;
    const length = lengths[i]!;
    if (start > last) break;
    const cut = length < 16 ? length << 2 : 64;
    const a = view.getInt32(start, true) & masks[cut]!;
    const b = view.getInt32((start + 4) | 0, true) & masks[cut | 1]!;
    const c = view.getInt32((start + 8) | 0, true) & masks[cut | 2]!;
    const d = view.getInt32((start + 12) | 0, true) & masks[cut | 3]!;
    // Two lanes that do not wait for each other.
    let even = evenOf(a, b, length, seed);
    let odd = oddOf(c, d, seed);
    if (length > 16) {
      const rest = (start + length - 8) | 0;
      for (let from = (start + 16) | 0; from < rest; from = (from + 8) | 0) {
        even = evenRound(even, view.getInt32(from, true));
        odd = oddRound(odd, view.getInt32((from + 4) | 0, true));
      }
      even = evenRound(even, view.getInt32(rest, true));
      odd = oddRound(odd, view.getInt32((rest + 4) | 0, true));
    }
    const hash = finish(even, odd);
    let slot = hash & mask;
    let held = slots[slot]!;
    while (held !== 0) {
      if (((held ^ hash) & ~0xfffff) === 0) {
        const e = ((held & 0xfffff) - 1) << 3;
        let unlike =
          (entries[e]! ^ a) |
          (entries[e | 1]! ^ b) |
          (entries[e | 2]! ^ c) |
          (entries[e | 3]! ^ d) |
          (entries[e | 4]! ^ length);
        if (length > 16 && unlike === 0) {
          const other = (entries[e | 5]! - start) | 0;
          const rest = (start + length - 4) | 0;
          for (let from = (start + 16) | 0; from < rest; from = (from + 4) | 0)
            unlike |= view.getInt32(from, true) ^ plain.getInt32((from + other) | 0, true);
          unlike |= view.getInt32(rest, true) ^ plain.getInt32((rest + other) | 0, true);
        }
        if (unlike === 0) break;
      }
      slot = (slot + 1) & mask;
      held = slots[slot]!;
    }
    if (held === 0) {
      if (count >= most || plainLength + length > room) break;
      const e = count << 3;
      held = count = (count + 1) | 0;
      slots[slot] = (hash & ~0xfffff) | held;
      const content = (plainLength + head) | 0;
      if (head > 0) plain.setInt32(plainLength, length, true);
      plain.setInt32(content, a, true);
      plain.setInt32((content + 4) | 0, b, true);
      plain.setInt32((content + 8) | 0, c, true);
      plain.setInt32((content + 12) | 0, d, true);
      if (length > 16) {
        const there = (content - start) | 0;
        const rest = (start + length - 4) | 0;
        for (let from = (start + 16) | 0; from < rest; from = (from + 4) | 0)
          plain.setInt32((from + there) | 0, view.getInt32(from, true), true);
        plain.setInt32((rest + there) | 0, view.getInt32(rest, true), true);
      }
      plainLength = (content + length) | 0;
      entries[e] = a;
      entries[e | 1] = b;
      entries[e | 2] = c;
      entries[e | 3] = d;
      entries[e | 4] = length;
      entries[e | 5] = content;
      entries[e | 6] = hash;
    }
    indices[at] = ((held & 0xfffff) - 1) | 0;
    at = (at + 1) | 0;
  }
  dictionary.count = count;
  dictionary.plain.length = plainLength;
  return i;
}

const evenOf = (a: number, b: number, length: number, seed: number): number =>
  Math.imul(a ^ length ^ seed, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b);
const oddOf = (c: number, d: number, seed: number): number =>
  Math.imul(c ^ seed, 0xc2b2ae35) ^ Math.imul(d, 0x27d4eb2f);
const evenRound = (even: number, word: number): number => Math.imul(((even << 13) | (even >>> 19)) ^ word, 0x9e3779b1);
const oddRound = (odd: number, word: number): number => Math.imul(((odd << 15) | (odd >>> 17)) ^ word, 0x85ebca6b);
const finish = (even: number, odd: number): number => {
  const hash = Math.imul(even ^ (even >>> 15) ^ ((odd << 16) | (odd >>> 16)), 0x2c1b3c6d);
  return hash ^ (hash >>> 14);
};

/** Finds or enters one value of whatever length, wherever it lies; answers its entry. */
function findOrEnter(
  dictionary: BytesDictionary,
  source: Uint8Array,
  view: DataView,
  start: number,
  length: number,
  header: number,
): number {
  const { slots, entries, plain } = dictionary;
  const a = wordAt(source, start, length, 0);
  const b = wordAt(source, start, length, 4);
  const c = wordAt(source, start, length, 8);
  const d = wordAt(source, start, length, 12);
  let even = evenOf(a, b, length, SEED);
  let odd = oddOf(c, d, SEED);
  for (let at = start + INLINE; at < start + length; at += 8) {
    const from = Math.min(at, start + length - 8);
    even = evenRound(even, view.getInt32(from, true));
    odd = oddRound(odd, view.getInt32(from + 4, true));
  }
  const hash = finish(even, odd);
  const mask = slots.length - 1;
  let slot = hash & mask;
  for (let held = slots[slot]!; held !== 0; held = slots[slot]!) {
    const entry = (held & ENTRY_BITS) - 1;
    const e = ENTRY_WORDS * entry;
    if (
      entries[e + HASH_WORD] === hash &&
      entries[e + LENGTH_WORD] === length &&
      equalBytes(source, start, plain.bytes, entries[e + START_WORD]!, length)
    )
      return entry;
    slot = (slot + 1) & mask;
  }
  plain.reserve(header + length);
  if (header > 0) plain.view.setUint32(plain.length, length, true);
  const content = plain.length + header;
  copyBytes(source, view, start, plain.bytes, plain.view, content, length);
  plain.length = content + length;
  const entry = dictionary.count++;
  const e = ENTRY_WORDS * entry;
  entries[e] = a;
  entries[e + 1] = b;
  entries[e + 2] = c;
  entries[e + 3] = d;
  entries[e + LENGTH_WORD] = length;
  entries[e + START_WORD] = content;
  entries[e + HASH_WORD] = hash;
  slots[slot] = (hash & ~ENTRY_BITS) | (entry + 1);
  if (2 * dictionary.count >= mask) grow(dictionary);
  return entry;
}

/** Twice the slots and the entries. */
function grow(dictionary: BytesDictionary): void {
  const slots = new Int32Array(2 * dictionary.slots.length);
  const entries = new Int32Array(2 * dictionary.entries.length);
  entries.set(dictionary.entries.subarray(0, ENTRY_WORDS * dictionary.count));
  const mask = slots.length - 1;
  for (let entry = 0; entry < dictionary.count; entry++) {
    const hash = entries[ENTRY_WORDS * entry + HASH_WORD]!;
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = (hash & ~ENTRY_BITS) | (entry + 1);
  }
  dictionary.slots = slots;
  dictionary.entries = entries;
}
