/**
 * Reads Kafka's varint and varlong (zigzag, 7 bits a byte, least significant first). After a read over `end` or a number
 * that is too long `broken` is set and stays, so that a caller checks once for several reads.
 */
export interface Varints {
  at: number;
  broken: boolean;
  start(bytes: Uint8Array, at: number, end: number): void;
  /** 32 bits. */
  int(): number;
  /** 64 bits, as a number: exact within ±2^53. */
  long(): number;
}

class VarintReader implements Varints {
  at = 0;
  broken = false;
  #bytes: Uint8Array = new Uint8Array(0);
  #end = 0;

  start(bytes: Uint8Array, at: number, end: number): void {
    this.#bytes = bytes;
    this.at = at;
    this.#end = end;
    this.broken = false;
  }

  int(): number {
    const bytes = this.#bytes;
    if (this.at >= this.#end) return this.#fail();
    let byte = bytes[this.at++]!;
    let value = byte & 0x7f;
    for (let shift = 7; byte > 0x7f; shift += 7) {
      if (shift > 28 || this.at >= this.#end) return this.#fail();
      byte = bytes[this.at++]!;
      value |= (byte & 0x7f) << shift;
    }
    return (value >>> 1) ^ -(value & 1);
  }

  long(): number {
    const bytes = this.#bytes;
    let value = 0;
    let scale = 1;
    for (let i = 0; ; i++, scale *= 128) {
      if (i === 10 || this.at >= this.#end) return this.#fail();
      const byte = bytes[this.at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  }

  #fail(): number {
    this.broken = true;
    return 0;
  }
}

export const createVarints = (): Varints => new VarintReader();

/**
 * The bits of a varint of one or two bytes at `at`, zigzag not undone; -1: it is longer. Most of a record's numbers, read
 * without a call or a field. A byte after `at` must be there.
 */
export function shortVarint(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return first;
  const second = bytes[at + 1]!;
  // A second byte of 0 would be taken for one byte.
  return second > 0x7f || second === 0 ? -1 : (first & 0x7f) | (second << 7);
}

export const shortVarintBytes = (bits: number): number => (bits > 0x7f ? 2 : 1);

export const unzigzag = (bits: number): number => (bits >>> 1) ^ -(bits & 1);

/** Writes a zigzag varint or varlong at `at`; returns the position after it. `value`: an integer within ±2^52. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  while (rest > 0x7f) {
    bytes[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  bytes[at++] = rest;
  return at;
}
