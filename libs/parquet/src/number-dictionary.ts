/**
 * A dictionary of numbers of one or two 32-bit words, compared bit for bit: open addressing over the words themselves,
 * entries in order of their first appearance (which is the dictionary page).
 */
export interface NumberDictionary {
  count: number;
  /** The entries, `width` words each. */
  words: Int32Array;
  /** Entry + 1 by hash; a power of two, at most half full. */
  slots: Int32Array;
}

const FIRST_SLOTS = 8192;

export const numberDictionary = (): NumberDictionary => ({
  count: 0,
  words: new Int32Array(FIRST_SLOTS),
  slots: new Int32Array(FIRST_SLOTS),
});

export function clearDictionary(dictionary: NumberDictionary): void {
  dictionary.slots.fill(0);
  dictionary.count = 0;
}

/** Looks up numbers [from, to) of one word each, entering new ones; their entries go to `indices`. */
export function indexWords(
  dictionary: NumberDictionary,
  values: Int32Array,
  from: number,
  to: number,
  indices: Int32Array,
): void {
  reserve(dictionary, to - from, 1);
  const { slots, words } = dictionary;
  const mask = slots.length - 1;
  let { count } = dictionary;
  for (let i = from; i < to; i++) {
    const value = values[i]!;
    let slot = hashWord(value) & mask;
    let entry = slots[slot]!;
    while (entry !== 0 && words[entry - 1] !== value) {
      slot = (slot + 1) & mask;
      entry = slots[slot]!;
    }
    if (entry === 0) {
      words[count] = value;
      entry = ++count;
      slots[slot] = entry;
    }
    indices[i] = entry - 1;
  }
  dictionary.count = count;
}

/** The same for numbers of two words. */
export function indexPairs(
  dictionary: NumberDictionary,
  values: Int32Array,
  from: number,
  to: number,
  indices: Int32Array,
): void {
  reserve(dictionary, to - from, 2);
  const { slots, words } = dictionary;
  const mask = slots.length - 1;
  let { count } = dictionary;
  for (let i = from; i < to; i++) {
    const low = values[2 * i]!;
    const high = values[2 * i + 1]!;
    let slot = hashPair(low, high) & mask;
    let entry = slots[slot]!;
    while (entry !== 0 && (words[2 * entry - 2] !== low || words[2 * entry - 1] !== high)) {
      slot = (slot + 1) & mask;
      entry = slots[slot]!;
    }
    if (entry === 0) {
      words[2 * count] = low;
      words[2 * count + 1] = high;
      entry = ++count;
      slots[slot] = entry;
    }
    indices[i] = entry - 1;
  }
  dictionary.count = count;
}

function hashWord(value: number): number {
  const hash = Math.imul(value, 0x9e3779b1);
  return hash ^ (hash >>> 15);
}

function hashPair(low: number, high: number): number {
  const hash = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
  return Math.imul(hash ^ (hash >>> 15), 0x27d4eb2f) ^ (hash >>> 13);
}

function reserve(dictionary: NumberDictionary, more: number, width: 1 | 2): void {
  const needed = dictionary.count + more;
  if (needed * width > dictionary.words.length) {
    const words = new Int32Array(Math.max(dictionary.words.length * 2, needed * width));
    words.set(dictionary.words.subarray(0, dictionary.count * width));
    dictionary.words = words;
  }
  if (needed * 2 <= dictionary.slots.length) return;
  let size = dictionary.slots.length;
  while (size < needed * 2) size *= 2;
  const slots = new Int32Array(size);
  const { words } = dictionary;
  for (let entry = 0; entry < dictionary.count; entry++) {
    let slot =
      (width === 1 ? hashWord(words[entry]!) : hashPair(words[2 * entry]!, words[2 * entry + 1]!)) & (size - 1);
    while (slots[slot] !== 0) slot = (slot + 1) & (size - 1);
    slots[slot] = entry + 1;
  }
  dictionary.slots = slots;
}
