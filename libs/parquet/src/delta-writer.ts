import type { ByteBuffer } from './byte-buffer.ts';

/** Values of a block and of each of its four miniblocks: what parquet-java and Arrow write too. */
const BLOCK_VALUES = 128;
const MINIBLOCK_VALUES = 32;
const MINIBLOCKS = BLOCK_VALUES / MINIBLOCK_VALUES;

/** The deltas of one block: low and high halves. */
const lows = new Int32Array(BLOCK_VALUES);
const highs = new Int32Array(BLOCK_VALUES);

/**
 * DELTA_BINARY_PACKED (parquet-format Encodings.md) of INT32 (`width` 1) or INT64 (2: low half first) values:
 *
 *     values := varint(block size) varint(miniblocks) varint(count) zigzag(first value) block*
 *     block  := zigzag(min delta) width:u8* miniblock*       deltas less the least one, packed LSB first
 *
 * Differences wrap around in the width of the type, so every value can be written, and none is a double on its way.
 */
export function writeDeltaBinary(values: Int32Array, width: 1 | 2, count: number, out: ByteBuffer): void {
  out.varint(BLOCK_VALUES);
  out.varint(MINIBLOCKS);
  out.varint(count);
  if (count === 0) out.varint(0);
  else if (width === 1) zigzag(values[0]!, values[0]! >> 31, out);
  else zigzag(values[0]!, values[1]!, out);
  for (let at = 1; at < count; at += BLOCK_VALUES) {
    const size = Math.min(BLOCK_VALUES, count - at);
    if (width === 1) wordDeltas(values, at, size);
    else pairDeltas(values, at, size);
    zigzag(minLow, minHigh, out);
    writeMiniblocks(size, out);
  }
}

// The least delta of the block in hand: no object a block.
let minLow = 0;
let minHigh = 0;

function wordDeltas(values: Int32Array, at: number, size: number): void {
  let min = (values[at]! - values[at - 1]!) | 0;
  for (let i = 0; i < size; i++) {
    const delta = (values[at + i]! - values[at + i - 1]!) | 0;
    lows[i] = delta;
    if (delta < min) min = delta;
  }
  for (let i = 0; i < size; i++) lows[i] = lows[i]! - min;
  highs.fill(0, 0, size);
  minLow = min;
  minHigh = min >> 31;
}

function pairDeltas(values: Int32Array, at: number, size: number): void {
  for (let i = 0; i < size; i++) {
    const k = 2 * (at + i);
    const low = values[k]!;
    const before = values[k - 2]!;
    const borrow = low >>> 0 < before >>> 0 ? 1 : 0;
    const deltaLow = (low - before) | 0;
    const deltaHigh = (values[k + 1]! - values[k - 1]! - borrow) | 0;
    lows[i] = deltaLow;
    highs[i] = deltaHigh;
    if (i === 0 || deltaHigh < minHigh || (deltaHigh === minHigh && deltaLow >>> 0 < minLow >>> 0)) {
      minLow = deltaLow;
      minHigh = deltaHigh;
    }
  }
  for (let i = 0; i < size; i++) {
    const borrow = lows[i]! >>> 0 < minLow >>> 0 ? 1 : 0;
    highs[i] = highs[i]! - minHigh - borrow;
    lows[i] = lows[i]! - minLow;
  }
}

/** The widths of all four miniblocks, then those that hold values; the last of them is filled up with zeros. */
function writeMiniblocks(size: number, out: ByteBuffer): void {
  out.reserve(MINIBLOCKS + 8 * BLOCK_VALUES);
  lows.fill(0, size);
  highs.fill(0, size);
  const widthsAt = out.length;
  out.length += MINIBLOCKS;
  for (let n = 0; n < MINIBLOCKS; n++) {
    const from = n * MINIBLOCK_VALUES;
    let low = 0;
    let high = 0;
    for (let i = from; i < from + MINIBLOCK_VALUES; i++) {
      low |= lows[i]!;
      high |= highs[i]!;
    }
    const bits = high === 0 ? 32 - Math.clz32(low) : 64 - Math.clz32(high);
    out.bytes[widthsAt + n] = bits;
    if (bits > 0) out.length = pack(from, bits, out.bytes, out.length);
  }
}

/** Packs one miniblock, up to 16 bits at a time, which the bits held back from before leave room for. */
function pack(from: number, bits: number, bytes: Uint8Array, at: number): number {
  let held = 0;
  let heldBits = 0;
  for (let i = from; i < from + MINIBLOCK_VALUES; i++) {
    let word = lows[i]!;
    for (let left = bits; left > 0; left -= 16) {
      const take = left < 16 ? left : 16;
      held |= (word & 0xffff) << heldBits;
      heldBits += take;
      while (heldBits >= 8) {
        bytes[at++] = held;
        held >>>= 8;
        heldBits -= 8;
      }
      word = bits - left === 16 ? highs[i]! : word >>> 16;
    }
  }
  return at;
}

function zigzag(low: number, high: number, out: ByteBuffer): void {
  const sign = high >> 31;
  let left = (low << 1) ^ sign;
  let right = ((high << 1) | (low >>> 31)) ^ sign;
  out.reserve(10);
  while (right !== 0 || left >>> 0 > 127) {
    out.bytes[out.length++] = (left & 127) | 128;
    left = (left >>> 7) | (right << 25);
    right >>>= 7;
  }
  out.bytes[out.length++] = left;
}

/** Where the values of a PLAIN page lie: the arrays serve the next page. */
let starts = new Int32Array(4096);
let lengths = new Int32Array(4096);
let prefixes = new Int32Array(4096);

function place(plain: Uint8Array, count: number, fixedLength: number): void {
  if (starts.length < count) {
    starts = new Int32Array(2 * count);
    lengths = new Int32Array(2 * count);
    prefixes = new Int32Array(2 * count);
  }
  if (fixedLength > 0) {
    for (let i = 0; i < count; i++) starts[i] = i * fixedLength;
    lengths.fill(fixedLength, 0, count);
    return;
  }
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  for (let i = 0, at = 0; i < count; i++) {
    const length = view.getInt32(at, true);
    starts[i] = at + 4;
    lengths[i] = length;
    at += 4 + length;
  }
}

/** DELTA_LENGTH_BYTE_ARRAY of a PLAIN page of BYTE_ARRAY: the lengths as DELTA_BINARY_PACKED, then all the bytes. */
export function writeDeltaLengths(plain: Uint8Array, count: number, out: ByteBuffer): void {
  place(plain, count, 0);
  writeDeltaBinary(lengths, 1, count, out);
  appendAll(plain, count, out);
}

/**
 * DELTA_BYTE_ARRAY of a PLAIN page of BYTE_ARRAY, or of FIXED_LEN_BYTE_ARRAY of this length: how many bytes each value
 * shares with the one before as DELTA_BINARY_PACKED, then the rest of each as DELTA_LENGTH_BYTE_ARRAY.
 */
export function writeDeltaBytes(plain: Uint8Array, count: number, fixedLength: number, out: ByteBuffer): void {
  place(plain, count, fixedLength);
  for (let i = count - 1; i >= 0; i--) {
    const shared = i === 0 ? 0 : sharedBytes(plain, i);
    prefixes[i] = shared;
    // Value i + 1 has been compared with this one already, so its whole form is not needed any more.
    starts[i] = starts[i]! + shared;
    lengths[i] = lengths[i]! - shared;
  }
  writeDeltaBinary(prefixes, 1, count, out);
  writeDeltaBinary(lengths, 1, count, out);
  appendAll(plain, count, out);
}

function sharedBytes(plain: Uint8Array, i: number): number {
  const most = Math.min(lengths[i]!, lengths[i - 1]!);
  const a = starts[i]!;
  const b = starts[i - 1]!;
  let shared = 0;
  while (shared < most && plain[a + shared] === plain[b + shared]) shared++;
  return shared;
}

function appendAll(plain: Uint8Array, count: number, out: ByteBuffer): void {
  let total = 0;
  for (let i = 0; i < count; i++) total += lengths[i]!;
  out.reserve(total);
  const { bytes } = out;
  let to = out.length;
  for (let i = 0; i < count; i++) {
    const start = starts[i]!;
    const length = lengths[i]!;
    if (length > 64) bytes.set(plain.subarray(start, start + length), to);
    else for (let k = 0; k < length; k++) bytes[to + k] = plain[start + k]!;
    to += length;
  }
  out.length = to;
}

/** BYTE_STREAM_SPLIT of a PLAIN page of values of `size` bytes: all first bytes, then all second ones, and so on. */
export function writeByteStreams(plain: Uint8Array, count: number, size: number, out: ByteBuffer): void {
  out.reserve(count * size);
  const { bytes } = out;
  let to = out.length;
  for (let n = 0; n < size; n++) for (let i = 0, from = n; i < count; i++, from += size) bytes[to++] = plain[from]!;
  out.length = to;
}
