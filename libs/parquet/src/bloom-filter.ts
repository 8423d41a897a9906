import { corrupt } from './corrupt.ts';
import { PHYSICAL } from './format.ts';
import type { Leaf } from './leaf.ts';
import { MODULE, type ModulePlace, type ModuleSeal } from './module-seal.ts';
import { readThrift } from './thrift-reader.ts';
import { ThriftWriter } from './thrift-writer.ts';
import { hashHigh, hashLow, xxhash64 } from './xxhash64.ts';

export interface BloomFilterOptions {
  /** How often the filter may say "perhaps" of a value that is not there, default 0.01. */
  falsePositiveRate?: number;
  /** Bytes of a filter at the most, default 1 MiB: of a chunk with more values than fit it errs more often. */
  maxBytes?: number;
}

const BLOCK_BYTES = 32;
const BLOCK_WORDS = 8;
/** A filter that errs more often than this is left out: it would cost every reader more than it spares. */
const USELESS_RATE = 0.5;

/** One odd number for each word of a block (BloomFilter.md). */
const SALT = Int32Array.of(
  0x47b6137b,
  0x44974d91,
  0x8824ad5b | 0,
  0xa2b7289d | 0,
  0x705495c7,
  0x2df1424b,
  0x9efc4947 | 0,
  0x5c6bfb31,
);

/**
 * A split-block Bloom filter that is being filled (BloomFilter.md): blocks of eight 32-bit words; a value's xxHash64 names
 * the block by its high half and one bit of each word by its low half. It begins as large as it may become, and is folded,
 * each two neighbours into one, for as long as the rate allows: so it fits the distinct values without their number
 * being known.
 */
export interface BloomFilter {
  /** Takes values in PLAIN form. */
  add(plain: Uint8Array, count: number): void;
  /** Bytes that it takes in memory. */
  readonly heldBytes: number;
  /** The header and the bits of the values so far, sealed, and begins anew; undefined when it would help nobody. */
  finish(seal: ModuleSeal, place: ModulePlace): Uint8Array | undefined;
}

export const hasBloomFilter = (physical: number): boolean =>
  physical !== PHYSICAL.BOOLEAN && physical !== PHYSICAL.INT96;

/** `mostValues`: how many a chunk can have at the most. */
export function createBloomFilter(leaf: Leaf, mostValues: number, options: BloomFilterOptions): BloomFilter {
  const { falsePositiveRate = 0.01, maxBytes = 1 << 20 } = options;
  const needed = Math.min(maxBytes, bytesFor(mostValues, falsePositiveRate));
  const blocks = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(BLOCK_BYTES, needed) / BLOCK_BYTES)));
  const words = new Int32Array(blocks * BLOCK_WORDS);
  const length =
    leaf.fixedLength > 0
      ? leaf.fixedLength
      : leaf.physical === PHYSICAL.BYTE_ARRAY
        ? 0
        : leaf.physical === PHYSICAL.INT32 || leaf.physical === PHYSICAL.FLOAT
          ? 4
          : 8;
  return {
    heldBytes: words.byteLength,
    add(plain, count) {
      addAll(words, 31 - Math.clz32(blocks), plain, count, length);
    },
    finish(seal, place) {
      const size = fold(words, falsePositiveRate);
      const useful = errorRate(words, size) <= USELESS_RATE;
      const bits = new Uint8Array(words.buffer.slice(0, size * 4));
      words.fill(0);
      if (!useful) return undefined;
      const body = seal([bits], { ...place, module: MODULE.BLOOM_FILTER_BITSET });
      const header = writeHeader(body.reduce((total, part) => total + part.length, 0));
      return Buffer.concat([...seal([header], { ...place, module: MODULE.BLOOM_FILTER_HEADER }), ...body]);
    },
  };
}

/** The next power of two at which so many distinct values err this often at the most (BloomFilter.md, "Sizing"). */
function bytesFor(values: number, rate: number): number {
  const bits = (-8 * values) / Math.log(1 - rate ** (1 / 8));
  return 2 ** Math.ceil(Math.log2(Math.max(BLOCK_BYTES, bits / 8)));
}

function addAll(words: Int32Array, blockBits: number, plain: Uint8Array, count: number, length: number): void {
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  let at = 0;
  for (let i = 0; i < count; i++) {
    let size = length;
    if (length === 0) {
      size = view.getInt32(at, true);
      at += 4;
    }
    xxhash64(view, at, size);
    at += size;
    // (hash >> 32) * blocks >> 32, of a power of two; a shift by 32 would shift by nothing.
    const block = blockBits === 0 ? 0 : hashHigh >>> (32 - blockBits);
    const low = hashLow;
    for (let n = 0; n < BLOCK_WORDS; n++) words[block * BLOCK_WORDS + n]! |= 1 << (Math.imul(low, SALT[n]!) >>> 27);
  }
}

/** Halves the filter while the rate allows; answers with the words that are left. */
function fold(words: Int32Array, rate: number): number {
  let size = words.length;
  while (size > BLOCK_WORDS) {
    let errors = 0;
    for (let from = 0; from < size; from += 2 * BLOCK_WORDS) {
      let share = 1;
      for (let n = from; n < from + BLOCK_WORDS; n++) share *= ones(words[n]! | words[n + BLOCK_WORDS]!) / 32;
      errors += share;
    }
    if (errors / (size / (2 * BLOCK_WORDS)) > rate) break;
    for (let to = 0; to < size / 2; to += BLOCK_WORDS) {
      for (let n = 0; n < BLOCK_WORDS; n++) words[to + n] = words[2 * to + n]! | words[2 * to + BLOCK_WORDS + n]!;
    }
    size /= 2;
  }
  return size;
}

/** How often a value that is not there finds its eight bits set. */
function errorRate(words: Int32Array, size: number): number {
  let errors = 0;
  for (let from = 0; from < size; from += BLOCK_WORDS) {
    let share = 1;
    for (let n = from; n < from + BLOCK_WORDS; n++) share *= ones(words[n]!) / 32;
    errors += share;
  }
  return errors / (size / BLOCK_WORDS);
}

function ones(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** BloomFilterHeader (parquet.thrift): block algorithm, xxHash, not compressed. */
function writeHeader(bytes: number): Uint8Array {
  const thrift = new ThriftWriter();
  thrift.i32(1, bytes);
  for (const id of [2, 3, 4]) thrift.struct(id, () => thrift.struct(1, () => {}));
  return thrift.finish();
}

/** A filter that was read. */
export interface StoredBloomFilter {
  /** False: no row of the chunk has this value (PLAIN form, no length before it). True: perhaps one has. */
  mightContain(plain: Uint8Array): boolean;
}

/**
 * Reads the filter at `bloom_filter_offset`: its header and its bits. Throws `corrupt` when they are no split-block filter
 * of xxHash64, or are cut short.
 */
export function readBloomFilter(bytes: Uint8Array): StoredBloomFilter {
  const { struct: header, end } = readThrift(bytes, 0, 'BloomFilterHeader');
  const size = header.size(1);
  for (const [id, name] of ['', '', 'BloomFilterAlgorithm', 'BloomFilterHash', 'BloomFilterCompression'].entries()) {
    if (id >= 2 && header.struct(id, name)?.member()?.id !== 1) throw corrupt(`a Bloom filter of an unknown ${name}`);
  }
  if (size === 0 || size % BLOCK_BYTES !== 0 || size > bytes.length - end)
    throw corrupt(`a Bloom filter of ${size} bytes in ${bytes.length - end}`);
  const bits = new DataView(bytes.buffer, bytes.byteOffset + end, size);
  const blocks = size / BLOCK_BYTES;
  return {
    mightContain(plain) {
      xxhash64(new DataView(plain.buffer, plain.byteOffset, plain.byteLength), 0, plain.length);
      const block = Math.floor(((hashHigh >>> 0) * blocks) / 2 ** 32);
      return SALT.every((salt, n) => {
        const word = bits.getInt32(block * BLOCK_BYTES + 4 * n, true);
        return (word & (1 << (Math.imul(hashLow, salt) >>> 27))) !== 0;
      });
    },
  };
}
