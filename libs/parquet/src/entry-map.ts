import { BLOCK } from './dictionary-choice.ts';
import type { Entries } from './raw-values.ts';

/** Where the entries of a dictionary that was read are in the one that is being written. */
export interface EntryMap {
  dictionary: Entries['dictionary'] | undefined;
  /** UNSEEN, or the place. */
  places: Int32Array;
}

/** Looks up entries[0, count) of a dictionary, at most BLOCK, entering new ones, and puts their places to `places`. */
export type EnterEntries = (
  dictionary: Entries['dictionary'],
  entries: Int32Array,
  count: number,
  places: Int32Array,
) => void;

const UNSEEN = -1;
const SEEN = -2;
const unseen = new Int32Array(BLOCK);
const entered = new Int32Array(BLOCK);

export const entryMap = (): EntryMap => ({ dictionary: undefined, places: new Int32Array(0) });

/** Forgets everything: the dictionary that is being written has ended. */
export function clearEntryMap(map: EntryMap): void {
  map.dictionary = undefined;
}

/**
 * Puts the places of entries indices[from, to) to `out` from `at` on. Only entries that are met are entered, and each is
 * looked up once: of a value that was read no byte is hashed or compared.
 */
export function mapEntries(
  map: EntryMap,
  { dictionary, indices }: Entries,
  from: number,
  to: number,
  out: Int32Array,
  at: number,
  enter: EnterEntries,
): void {
  if (map.dictionary !== dictionary) {
    map.dictionary = dictionary;
    if (map.places.length < dictionary.count)
      map.places = new Int32Array(Math.max(dictionary.count, 2 * map.places.length));
    map.places.fill(UNSEEN, 0, dictionary.count);
  }
  const { places } = map;
  for (let low = from; low < to; low += BLOCK) {
    const high = Math.min(to, low + BLOCK);
    const count = collectUnseen(places, indices, low, high);
    if (count > 0) {
      enter(dictionary, unseen, count, entered);
      for (let i = 0; i < count; i++) places[unseen[i]!] = entered[i]!;
    }
    for (let i = low, k = at + low - from; i < high; i++, k++) out[k] = places[indices[i]!]!;
  }
}

function collectUnseen(places: Int32Array, indices: Int32Array, from: number, to: number): number {
  let count = 0;
  for (let i = from; i < to; i++) {
    const entry = indices[i]!;
    if (places[entry] !== UNSEEN) continue;
    places[entry] = SEEN;
    unseen[count++] = entry;
  }
  return count;
}
