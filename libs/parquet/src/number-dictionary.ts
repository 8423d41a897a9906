import { randomBytes } from 'node:crypto';
import { BLOCK } from './dictionary-choice.ts';

/**
 * A dictionary of numbers of one or two 32-bit words, compared bit for bit: open addressing over the words themselves,
 * entries in order of their first appearance (which is the dictionary page).
 */
export interface NumberDictionary {
  count: number;
  /** The entries, `width` words each. */
  words: Int32Array;
  /** By hash: the entry + 1, and above it the hash's upper bits. A power of two of them, at most half full. */
  slots: Int32Array;
}

/** A slot has so many bits for the entry: more than DICTIONARY_BYTES have room for. */
const ENTRY_BITS = 0xfffff;
const FIRST_SLOTS = 1024;
/** Fewer slots stay in the second cache, with their entries: touching them beforehand costs more than it brings. */
const TOUCHED_SLOTS = 131_072;

/** Another for each process: nobody can write numbers whose hashes all collide. */
const SEED = randomBytes(4).readInt32LE();

/** The hashes of one block. */
const hashes = new Int32Array(BLOCK);

export const numberDictionary = (width: 1 | 2): NumberDictionary => ({
  count: 0,
  words: new Int32Array((width * FIRST_SLOTS) / 2),
  slots: new Int32Array(FIRST_SLOTS),
});

export function clearDictionary(dictionary: NumberDictionary): void {
  dictionary.slots.fill(0);
  dictionary.count = 0;
}

/** Looks up numbers [from, to) of one word each, at most BLOCK, entering new ones; their entries go to `indices`. */
export function indexWords(
  dictionary: NumberDictionary,
  values: Int32Array,
  from: number,
  to: number,
  indices: Int32Array,
): void {
  hashWords(values, from, to);
  if (dictionary.slots.length >= TOUCHED_SLOTS) touched = touch(dictionary.slots, dictionary.words, 0, to - from);
  for (let i = from; i < to; ) {
    i = findWords(dictionary, values, i, to, from, indices);
    if (i < to) grow(dictionary, 1);
  }
}

/** The same for numbers of two words. */
export function indexPairs(
  dictionary: NumberDictionary,
  values: Int32Array,
  from: number,
  to: number,
  indices: Int32Array,
): void {
  hashPairs(values, from, to);
  if (dictionary.slots.length >= TOUCHED_SLOTS) touched = touch(dictionary.slots, dictionary.words, 1, to - from);
  for (let i = from; i < to; ) {
    i = findPairs(dictionary, values, i, to, from, indices);
    if (i < to) grow(dictionary, 2);
  }
}

// The numbers of the loops below stand in them, or are taken into them as 32-bit integers before they begin: the compiled
// code would load and check numbers of the module, and parameters, at each use.

/** Looks numbers up, and enters new ones while there is room; answers with the first that there was none for, or `to`. */
function findWords(
  dictionary: NumberDictionary,
  values: Int32Array,
  from: number,
  to: number,
  block: number,
  indices: Int32Array,
): number {
  const hashed = hashes;
  const { slots, words } = dictionary;
  const mask = (slots.length - 1) | 0;
  const most = slots.length >> 1;
  const end = to | 0;
  let count = dictionary.count | 0;
  let k = (from - block) | 0;
  let i = from | 0;
  for (; i < end; i++) {
    const value = values[i]!;
    const hash = hashed[k]!;
    let slot = hash & mask;
    let held = slots[slot]!;
    while (held !== 0) {
      if (((held ^ hash) & ~0xfffff) === 0 && words[((held & 0xfffff) - 1) | 0] === value) break;
      slot = (slot + 1) & mask;
      held = slots[slot]!;
    }
    if (held === 0) {
      if (count >= most) break;
      words[count] = value;
      held = count = (count + 1) | 0;
      slots[slot] = (hash & ~0xfffff) | held;
    }
    indices[i] = ((held & 0xfffff) - 1) | 0;
    k = (k + 1) | 0;
  }
  dictionary.count = count;
  return i;
}

function findPairs(
  dictionary: NumberDictionary,
  values: Int32Array,
  from: number,
  to: number,
  block: number,
  indices: Int32Array,
): number {
  const hashed = hashes;
  const { slots, words } = dictionary;
  const mask = (slots.length - 1) | 0;
  const most = slots.length >> 1;
  const end = to | 0;
  let count = dictionary.count | 0;
  let k = (from - block) | 0;
  let i = from | 0;
  for (; i < end; i++) {
    const low = values[i << 1]!;
    const high = values[(i << 1) | 1]!;
    const hash = hashed[k]!;
    let slot = hash & mask;
    let held = slots[slot]!;
    while (held !== 0) {
      if (((held ^ hash) & ~0xfffff) === 0) {
        const e = ((held & 0xfffff) - 1) << 1;
        if (((words[e]! ^ low) | (words[e | 1]! ^ high)) === 0) break;
      }
      slot = (slot + 1) & mask;
      held = slots[slot]!;
    }
    if (held === 0) {
      if (count >= most) break;
      words[count << 1] = low;
      words[(count << 1) | 1] = high;
      held = count = (count + 1) | 0;
      slots[slot] = (hash & ~0xfffff) | held;
    }
    indices[i] = ((held & 0xfffff) - 1) | 0;
    k = (k + 1) | 0;
  }
  dictionary.count = count;
  return i;
}

function hashWords(values: Int32Array, from: number, to: number): void {
  const out = hashes;
  const seed = SEED | 0;
  const count = (to - from) | 0;
  for (let k = 0, i = from | 0; k < count; k++, i = (i + 1) | 0) out[k] = hashWord(values[i]!, seed);
}

function hashPairs(values: Int32Array, from: number, to: number): void {
  const out = hashes;
  const seed = SEED | 0;
  const count = (to - from) | 0;
  for (let k = 0, i = from << 1; k < count; k++, i = (i + 2) | 0) out[k] = hashPair(values[i]!, values[i | 1]!, seed);
}

/** What touch() has added up: kept, so that its loads are not optimized away. */
export let touched = 0;

/** Loads the slots of a block, and the entries they lead to: the misses overlap, and the look-ups then hit. */
function touch(slots: Int32Array, words: Int32Array, shift: number, count: number): number {
  const hashed = hashes;
  const mask = slots.length - 1;
  const last = words.length - 1;
  const by = shift | 0;
  let sum = 0;
  for (let k = 0; k < count; k++) sum ^= words[((slots[hashed[k]! & mask]! - 1) << by) & last]!;
  return sum;
}

function hashWord(value: number, seed: number): number {
  const hash = Math.imul(value ^ seed, 0x9e3779b1);
  return Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
}

function hashPair(low: number, high: number, seed: number): number {
  const hash = Math.imul(low ^ seed, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b);
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x27d4eb2f);
  return mixed ^ (mixed >>> 13);
}

/** Twice the slots and the entries. */
function grow(dictionary: NumberDictionary, width: 1 | 2): void {
  const slots = new Int32Array(2 * dictionary.slots.length);
  const words = new Int32Array(2 * dictionary.words.length);
  words.set(dictionary.words);
  const mask = slots.length - 1;
  for (let entry = 0; entry < dictionary.count; entry++) {
    const hash = width === 1 ? hashWord(words[entry]!, SEED) : hashPair(words[2 * entry]!, words[2 * entry + 1]!, SEED);
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = (hash & ~ENTRY_BITS) | (entry + 1);
  }
  dictionary.slots = slots;
  dictionary.words = words;
}
