// The hash, for whoever called xxhash64.
export let hashLow = 0;
export let hashHigh = 0;

// The primes of the specification, low and high halves.
const P1 = 0x85ebca87 | 0;
const P1H = 0x9e3779b1 | 0;
const P2 = 0x27d4eb4f | 0;
const P2H = 0xc2b2ae3d | 0;
const P3 = 0x9e3779f9 | 0;
const P3H = 0x165667b1 | 0;
const P4 = 0xc2b2ae63 | 0;
const P4H = 0x85ebca77 | 0;
const P5 = 0x165667c5 | 0;
const P5H = 0x27d4eb2f | 0;

/** The upper half of a product of two unsigned 32-bit numbers. */
function carry(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const p01 = Math.imul(a0, b1);
  const p10 = Math.imul(a1, b0);
  const middle = (Math.imul(a0, b0) >>> 16) + (p01 & 0xffff) + (p10 & 0xffff);
  return (Math.imul(a1, b1) + (p01 >>> 16) + (p10 >>> 16) + (middle >>> 16)) | 0;
}

/** The upper half of a 64-bit product; the lower one is Math.imul(low, timesLow). */
function upper(low: number, high: number, timesLow: number, timesHigh: number): number {
  return (carry(low, timesLow) + Math.imul(high, timesLow) + Math.imul(low, timesHigh)) | 0;
}

/** 1 when a 64-bit sum with this lower half, of which `part` is one of the two added, carries over. */
const over = (sum: number, part: number): number => (sum >>> 0 < part >>> 0 ? 1 : 0);

/**
 * xxHash64 with seed 0 (xxhash_spec.md) of `length` bytes from `start`; leaves the hash in `hashLow` and `hashHigh`. All in
 * 32-bit integers that stay in registers: with BigInt it takes many times as long.
 */
export function xxhash64(view: DataView, start: number, length: number): void {
  const end = start + length;
  let at = start;
  let low = P5;
  let high = P5H;
  if (length >= 32) {
    at = stripes(view, start, end);
    low = hashLow;
    high = hashHigh;
  }
  low = (low + length) | 0;
  high += over(low, length);
  for (; at + 8 <= end; at += 8) {
    let k = view.getInt32(at, true);
    let kHigh = upper(k, view.getInt32(at + 4, true), P2, P2H);
    k = Math.imul(k, P2);
    const turned = (k << 31) | (kHigh >>> 1);
    kHigh = (kHigh << 31) | (k >>> 1);
    high ^= upper(turned, kHigh, P1, P1H);
    low ^= Math.imul(turned, P1);
    const left = (low << 27) | (high >>> 5);
    high = (upper(left, (high << 27) | (low >>> 5), P1, P1H) + P4H) | 0;
    low = (Math.imul(left, P1) + P4) | 0;
    high += over(low, P4);
  }
  if (at + 4 <= end) {
    const k = view.getInt32(at, true);
    high ^= upper(k, 0, P1, P1H);
    low ^= Math.imul(k, P1);
    const left = (low << 23) | (high >>> 9);
    high = (upper(left, (high << 23) | (low >>> 9), P2, P2H) + P3H) | 0;
    low = (Math.imul(left, P2) + P3) | 0;
    high += over(low, P3);
    at += 4;
  }
  for (; at < end; at++) {
    const k = view.getUint8(at);
    high ^= upper(k, 0, P5, P5H);
    low ^= Math.imul(k, P5);
    const left = (low << 11) | (high >>> 21);
    high = upper(left, (high << 11) | (low >>> 21), P1, P1H);
    low = Math.imul(left, P1);
  }
  low ^= high >>> 1;
  high = upper(low, high, P2, P2H);
  low = Math.imul(low, P2);
  low ^= (low >>> 29) | (high << 3);
  high ^= high >>> 29;
  hashHigh = upper(low, high, P3, P3H);
  hashLow = Math.imul(low, P3) ^ hashHigh;
}

/** The four lanes of long inputs: low and high halves. */
const lanes = new Int32Array(8);

/** Takes 32 bytes at a time; leaves what the lanes come to in hashLow and hashHigh, and answers where the rest begins. */
function stripes(view: DataView, start: number, end: number): number {
  // P1 + P2, P2, 0, -P1.
  lanes[0] = P1 + P2;
  lanes[1] = P1H + P2H + over((P1 + P2) | 0, P2);
  lanes[2] = P2;
  lanes[3] = P2H;
  lanes[4] = lanes[5] = 0;
  lanes[6] = -P1;
  lanes[7] = ~P1H;
  let at = start;
  for (; at + 32 <= end; at += 32) {
    for (let n = 0; n < 8; n += 2) {
      const k = view.getInt32(at + 4 * n, true);
      const added = Math.imul(k, P2);
      const low = (lanes[n]! + added) | 0;
      const high = (lanes[n + 1]! + upper(k, view.getInt32(at + 4 * n + 4, true), P2, P2H) + over(low, added)) | 0;
      const turned = (low << 31) | (high >>> 1);
      lanes[n + 1] = upper(turned, (high << 31) | (low >>> 1), P1, P1H);
      lanes[n] = Math.imul(turned, P1);
    }
  }
  let low = 0;
  let high = 0;
  for (let n = 0; n < 8; n += 2) {
    const bits = n === 0 ? 1 : n === 2 ? 7 : n === 4 ? 12 : 18;
    const turned = (lanes[n]! << bits) | (lanes[n + 1]! >>> (32 - bits));
    low = (low + turned) | 0;
    high = (high + ((lanes[n + 1]! << bits) | (lanes[n]! >>> (32 - bits))) + over(low, turned)) | 0;
  }
  for (let n = 0; n < 8; n += 2) {
    const k = Math.imul(lanes[n]!, P2);
    const kHigh = upper(lanes[n]!, lanes[n + 1]!, P2, P2H);
    const turned = (k << 31) | (kHigh >>> 1);
    high ^= upper(turned, (kHigh << 31) | (k >>> 1), P1, P1H);
    low ^= Math.imul(turned, P1);
    high = (upper(low, high, P1, P1H) + P4H) | 0;
    low = (Math.imul(low, P1) + P4) | 0;
    high += over(low, P4);
  }
  hashLow = low;
  hashHigh = high;
  return at;
}
