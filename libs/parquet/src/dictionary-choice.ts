import { bitWidth } from './hybrid-writer.ts';

/** Values that are tried before a chunk decides for or against its dictionary. */
export const SAMPLE_VALUES = 4096;

/** A dictionary beyond this many bytes is closed; the chunk goes on in PLAIN. */
export const DICTIONARY_BYTES = 1 << 20;

/** Hash, look up and compare go through the values in blocks of this many, so that cache misses overlap. */
export const BLOCK = 512;

/**
 * Whether a dictionary makes a chunk of `expected` values smaller, after `tried` of them gave `distinct` entries of
 * `entryBytes` each. With c repeats among n values drawn from D, D is about n² / 2c (the birthday estimate).
 */
export function dictionaryPays(tried: number, distinct: number, entryBytes: number, expected: number): boolean {
  const repeats = tried - distinct;
  if (repeats === 0) return false;
  const domain = Math.max(distinct, (tried * tried) / (2 * repeats));
  const total = Math.max(tried, expected);
  // All values have been tried: nothing is to be estimated.
  const entries = total === tried ? distinct : Math.max(distinct, domain * (1 - Math.exp(-total / domain)));
  const dictionaryBytes = entries * entryBytes;
  const indexBytes = (total * bitWidth(Math.ceil(entries))) / 8;
  return dictionaryBytes <= DICTIONARY_BYTES && dictionaryBytes + indexBytes < 0.5 * total * entryBytes;
}
