/** Where four bytes with this hash were seen last, + 1; serves one block after the other. */
const HASH_BITS = 14;
const seen = new Int32Array(1 << HASH_BITS);
const MAX_OFFSET = 65_535;
const MIN_MATCH = 4;
/** A block's last bytes are literals, and no match begins in its last twelve (lz4_Block_format.md, "End of block"). */
const LAST_LITERALS = 5;
const LAST_MATCH = 12;
/** After 2^6 positions without a match every second one is tried, after twice as many every third, and so on. */
const SKIP_BITS = 6;

/** The most bytes that a block of so many bytes can take. */
const lz4Bound = (size: number): number => size + Math.floor(size / 255) + 16;

/** Compresses to one LZ4 block without a size before it (Parquet's LZ4_RAW): greedy, by a hash of four bytes. */
export function compressLz4Block(source: Uint8Array): Uint8Array {
  const size = source.length;
  const out = new Uint8Array(lz4Bound(size));
  const view = new DataView(source.buffer, source.byteOffset, size);
  seen.fill(0);
  const matchEnd = size - LAST_LITERALS;
  const lastStart = size - LAST_MATCH;
  let to = 0;
  let anchor = 0;
  let at = 0;
  let misses = 1 << SKIP_BITS;
  while (at <= lastStart) {
    const word = view.getInt32(at, true);
    const slot = Math.imul(word, -1_640_531_535) >>> (32 - HASH_BITS);
    let match = seen[slot]! - 1;
    seen[slot] = at + 1;
    if (match < 0 || at - match > MAX_OFFSET || view.getInt32(match, true) !== word) {
      at += misses++ >> SKIP_BITS;
      continue;
    }
    misses = 1 << SKIP_BITS;
    while (at > anchor && match > 0 && source[at - 1] === source[match - 1]) {
      at--;
      match--;
    }
    let end = at + MIN_MATCH;
    const distance = at - match;
    while (end + 4 <= matchEnd && view.getInt32(end, true) === view.getInt32(end - distance, true)) end += 4;
    while (end < matchEnd && source[end] === source[end - distance]) end++;
    to = sequence(source, anchor, at, end - at - MIN_MATCH, out, to);
    out[to++] = distance;
    out[to++] = distance >> 8;
    to = extra(end - at - MIN_MATCH, out, to);
    at = end;
    anchor = end;
    if (at <= lastStart) seen[Math.imul(view.getInt32(at - 2, true), -1_640_531_535) >>> (32 - HASH_BITS)] = at - 1;
  }
  return out.subarray(0, sequence(source, anchor, size, 0, out, to));
}

/** A token and the literals [from, end). */
function sequence(
  source: Uint8Array,
  from: number,
  end: number,
  matchLength: number,
  out: Uint8Array,
  to: number,
): number {
  const literals = end - from;
  out[to++] = (Math.min(literals, 15) << 4) | Math.min(matchLength, 15);
  to = extra(literals, out, to);
  if (literals > 32) out.set(source.subarray(from, end), to);
  else for (let i = 0; i < literals; i++) out[to + i] = source[from + i]!;
  return to + literals;
}

function extra(length: number, out: Uint8Array, to: number): number {
  if (length < 15) return to;
  for (length -= 15; length >= 255; length -= 255) out[to++] = 255;
  out[to++] = length;
  return to;
}
