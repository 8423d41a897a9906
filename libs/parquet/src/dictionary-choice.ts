import type { CodecName } from './codec.ts';
import { bitWidth } from './hybrid-writer.ts';

/** Values that are tried before a chunk decides for or against its dictionary. */
export const SAMPLE_VALUES = 4096;

/** A dictionary beyond this many bytes is closed; the chunk goes on in PLAIN. */
export const DICTIONARY_BYTES = 1 << 20;

/** Hash, look up and compare go through the values in blocks of this many, so that cache misses overlap. */
export const BLOCK = 512;

/**
 * The part of PLAIN that a dictionary and its indices must stay below. zstd and gzip make as little of the unused bits of
 * PLAIN values as indices do, so that a dictionary of many entries only costs time, the reader's too: the customer ids of a
 * bench, 92,000 different ones in a row group, are a tenth smaller in PLAIN. The other codecs leave such bits as they are.
 */
export const dictionaryShare = (codec: CodecName): number => (codec === 'zstd' || codec === 'gzip' ? 0.5 : 0.9);

/**
 * Whether a dictionary brings a chunk of `expected` values below this share of PLAIN, after `tried` of them gave `distinct` entries of
 * `entryBytes` each. With c repeats among n values drawn from D, D is about n² / 2c (the birthday estimate).
 */
export function dictionaryPays(
  tried: number,
  distinct: number,
  entryBytes: number,
  expected: number,
  share: number,
): boolean {
  const repeats = tried - distinct;
  if (repeats === 0) return false;
  const domain = Math.max(distinct, (tried * tried) / (2 * repeats));
  const total = Math.max(tried, expected);
  // All values have been tried: nothing is to be estimated.
  const entries = total === tried ? distinct : Math.max(distinct, domain * (1 - Math.exp(-total / domain)));
  const dictionaryBytes = entries * entryBytes;
  const indexBytes = (total * bitWidth(Math.ceil(entries))) / 8;
  return dictionaryBytes <= DICTIONARY_BYTES && dictionaryBytes + indexBytes < share * total * entryBytes;
}
