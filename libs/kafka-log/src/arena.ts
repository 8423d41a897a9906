/** Bytes that grow and are used again: what decompressed records lie in. */
export interface Arena {
  bytes: Uint8Array<ArrayBuffer>;
  length: number;
}

export const createArena = (capacityBytes = 64 << 10): Arena => ({ bytes: new Uint8Array(capacityBytes), length: 0 });

/** Bytes that are there behind what reserve() has made room for: readers and writers of several at once may reach there. */
const SLACK_BYTES = 16;

/** Makes room for `extra` more bytes; what is there keeps its position. */
export function reserve(arena: Arena, extra: number): void {
  const needed = arena.length + extra + SLACK_BYTES;
  if (needed <= arena.bytes.length) return;
  const grown = new Uint8Array(Math.max(needed, Math.min(arena.bytes.length * 2, arena.bytes.length + (64 << 20))));
  grown.set(arena.bytes.subarray(0, arena.length));
  arena.bytes = grown;
}

/** Bytes that may be added without reserve(). */
export const roomIn = (arena: Arena): number => arena.bytes.length - SLACK_BYTES - arena.length;

const KEPT_BYTES = 8 << 20;

/** Forgets what is there. Keeps the memory, but of a size that one giant batch asked for not for ever. */
export function clear(arena: Arena): void {
  const { length } = arena;
  arena.length = 0;
  if (arena.bytes.length > KEPT_BYTES && length < arena.bytes.length / 4)
    arena.bytes = new Uint8Array(Math.max(KEPT_BYTES, length * 2));
}

export function append(arena: Arena, bytes: Uint8Array): void {
  reserve(arena, bytes.length);
  arena.bytes.set(bytes, arena.length);
  arena.length += bytes.length;
}
