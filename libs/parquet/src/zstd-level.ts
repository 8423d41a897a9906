import { compressZstd } from './zstd-compress.ts';

/** zstd's own 3 is half as fast for a tenth less. */
const LEVEL = 1;
/**
 * The first of zstd's fast levels that Node can be told (it takes -1 for "none given"). Of numbers in PLAIN it makes as much
 * or more in two thirds of the time, and it gives up on the packed indices of a dictionary, which are random, three times
 * as fast; texts come out half as large again.
 */
const FAST_LEVEL = -2;

/** How much larger than at level 1 pages may be at the fast one. */
const LARGER = 1.005;
/** A column whose pages become this much larger or smaller than when it was judged is judged again. */
const DRIFT = 0.1;
/** Pages of fewer bytes say little, and cost nothing. */
const LEAST_BYTES = 4096;

/** Compresses the pages of one column at the level that suits them: a page is tried at both, its like follow it. */
export function suitedZstd(): (page: Uint8Array) => Uint8Array {
  let level = LEVEL;
  /** What the page that was judged came to, in parts of its size. */
  let judged = Number.NaN;
  return (page) => {
    const first = compressZstd(page, level);
    if (page.length < LEAST_BYTES || Math.abs(first.length / page.length - judged) <= DRIFT * judged) return first;
    const other = level === LEVEL ? FAST_LEVEL : LEVEL;
    const kept = first.slice();
    const second = compressZstd(page, other);
    const fastPays = level === LEVEL ? second.length <= LARGER * kept.length : kept.length <= LARGER * second.length;
    const chosen = fastPays ? FAST_LEVEL : LEVEL;
    const compressed = chosen === level ? kept : second;
    level = chosen;
    judged = compressed.length / page.length;
    return compressed;
  };
}
