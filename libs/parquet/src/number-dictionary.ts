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

/** A slot has so many bits for the entry. */
const ENTRY_BITS = (1 << 20) - 1;
const FIRST_SLOTS = 1024;
/** Slots that stay in the first cache anyway are not touched beforehand. */
const TOUCHED_SLOTS = 8192;

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
  let { slots, words } = dictionary;
  let mask = slots.length - 1;
  for (let i = from; i < to; i++) hashes[i - from] = hashWord(values[i]!);
  if (mask >= TOUCHED_SLOTS) touched = touch(slots, words, 1, to - from);
  for (let i = from; i < to; i++) {
    const value = values[i]!;
    const hash = hashes[i - from]!;
    let slot = hash & mask;
    let held = slots[slot]!;
    while (held !== 0 && (((held ^ hash) & ~ENTRY_BITS) !== 0 || words[(held & ENTRY_BITS) - 1] !== value)) {
      slot = (slot + 1) & mask;
      held = slots[slot]!;
    }
    if (held === 0) {
      words[dictionary.count] = value;
      held = ++dictionary.count;
      slots[slot] = (hash & ~ENTRY_BITS) | held;
      if (2 * held > mask) {
        grow(dictionary, 1);
        ({ slots, words } = dictionary);
        mask = slots.length - 1;
      }
    }
    indices[i] = (held & ENTRY_BITS) - 1;
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
  let { slots, words } = dictionary;
  let mask = slots.length - 1;
  for (let i = from; i < to; i++) hashes[i - from] = hashPair(values[2 * i]!, values[2 * i + 1]!);
  if (mask >= TOUCHED_SLOTS) touched = touch(slots, words, 2, to - from);
  for (let i = from; i < to; i++) {
    const low = values[2 * i]!;
    const high = values[2 * i + 1]!;
    const hash = hashes[i - from]!;
    let slot = hash & mask;
    let held = slots[slot]!;
    while (held !== 0) {
      if (((held ^ hash) & ~ENTRY_BITS) === 0) {
        const e = 2 * (held & ENTRY_BITS);
        if (((words[e - 2]! ^ low) | (words[e - 1]! ^ high)) === 0) break;
      }
      slot = (slot + 1) & mask;
      held = slots[slot]!;
    }
    if (held === 0) {
      words[2 * dictionary.count] = low;
      words[2 * dictionary.count + 1] = high;
      held = ++dictionary.count;
      slots[slot] = (hash & ~ENTRY_BITS) | held;
      if (2 * held > mask) {
        grow(dictionary, 2);
        ({ slots, words } = dictionary);
        mask = slots.length - 1;
      }
    }
    indices[i] = (held & ENTRY_BITS) - 1;
  }
}

/** What touch() has added up: kept, so that its loads are not optimized away. */
export let touched = 0;

/** Loads the slots of a block, and the entries they lead to: the misses overlap, and the look-ups then hit. */
function touch(slots: Int32Array, words: Int32Array, width: number, count: number): number {
  const mask = slots.length - 1;
  const last = words.length - 1;
  let sum = 0;
  for (let i = 0; i < count; i++) sum ^= words[Math.imul(slots[hashes[i]! & mask]! - 1, width) & last]!;
  return sum;
}

function hashWord(value: number): number {
  const hash = Math.imul(value ^ SEED, 0x9e3779b1);
  return Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
}

function hashPair(low: number, high: number): number {
  const hash = Math.imul(low ^ SEED, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b);
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
    const hash = width === 1 ? hashWord(words[entry]!) : hashPair(words[2 * entry]!, words[2 * entry + 1]!);
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = (hash & ~ENTRY_BITS) | (entry + 1);
  }
  dictionary.slots = slots;
  dictionary.words = words;
}
