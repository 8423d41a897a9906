import type { CodecName } from './codec.ts';
import { bitWidth } from './hybrid-writer.ts';

/** Values that are tried before a chunk decides for or against its dictionary. */
export const SAMPLE_VALUES = 4096;

/** Pages after which it may go back on that, the second time by how the dictionary grew from page to page. */
export const JUDGED_PAGES = 2;

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

/** What a chunk's dictionary has become so far. */
export interface DictionaryGrowth {
  /** Values that were looked up. */
  tried: number;
  distinct: number;
  /** Of them, what was there when half of the values had been looked up; undefined: not known. */
  distinctAtHalf?: number | undefined;
  /** In PLAIN. */
  entryBytes: number;
}

/**
 * Whether a dictionary brings a chunk of `expected` values below this share of PLAIN. Its entries then are estimated: of n
 * values drawn from D, D (1 - exp(-n / D)) are different ones. Values that come in order, as times do, have a few repeats
 * each and always new ones: where the half is known, what the second half brought against the first tells such growth
 * from drawing (d(n) = a (1 - xⁿ) has both).
 */
export function dictionaryPays(growth: DictionaryGrowth, expected: number, share: number): boolean {
  const { tried, distinct, entryBytes } = growth;
  if (tried === distinct) return false;
  const total = Math.max(tried, expected);
  const entries = Math.max(distinct, total === tried ? distinct : grown(growth, total));
  const dictionaryBytes = entries * entryBytes;
  const indexBytes = (total * bitWidth(Math.ceil(entries))) / 8;
  return dictionaryBytes <= DICTIONARY_BYTES && dictionaryBytes + indexBytes < share * total * entryBytes;
}

function grown({ tried, distinct, distinctAtHalf }: DictionaryGrowth, total: number): number {
  if (distinctAtHalf === undefined || distinctAtHalf === 0) {
    const domain = domainOf(tried, distinct);
    return domain * (1 - Math.exp(-total / domain));
  }
  const halves = (2 * total) / tried;
  const ratio = (distinct - distinctAtHalf) / distinctAtHalf;
  return ratio >= 1 ? halves * distinctAtHalf : (distinctAtHalf * (1 - ratio ** halves)) / (1 - ratio);
}

/** From how many `distinct` ones among `tried` values are drawn: x = tried / domain solves (1 - exp(-x)) / x = share. */
function domainOf(tried: number, distinct: number): number {
  const share = distinct / tried;
  // Newton's way from the birthday estimate, which is below: on the convex curve each step stays below.
  let x = 2 * (1 - share);
  for (let i = 0; i < 20; i++) {
    const left = Math.exp(-x);
    const step = ((1 - left) / x - share) / ((1 - left * (1 + x)) / (x * x));
    x += step;
    if (Math.abs(step) < 1e-6 * x) break;
  }
  return tried / x;
}
