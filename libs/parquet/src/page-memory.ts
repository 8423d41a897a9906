/** Arrays that pages are decoded into. They grow and are used again; what a page leaves in them is the next one's garbage. */
export interface PageMemory {
  definition: Uint8Array;
  repetition: Uint8Array;
  /** Booleans, a byte each. */
  flags: Uint8Array;
  indices: Int32Array;
  words: Int32Array;
  starts: Int32Array;
  lengths: Int32Array;
  /** Bytes of strings of several pages. */
  source: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);
const NO_WORDS = new Int32Array(0);

export const pageMemory = (): PageMemory => ({
  definition: NO_BYTES,
  repetition: NO_BYTES,
  flags: NO_BYTES,
  indices: NO_WORDS,
  words: NO_WORDS,
  starts: NO_WORDS,
  lengths: NO_WORDS,
  source: NO_BYTES,
});

type Bytes = 'definition' | 'repetition' | 'flags' | 'source';
type Words = 'indices' | 'words' | 'starts' | 'lengths';

/** At least this many bytes of one of the arrays; the first `kept` of them keep their content. */
export function bytesOf(memory: PageMemory, name: Bytes, length: number, kept = 0): Uint8Array {
  const old = memory[name];
  if (old.length >= length) return old;
  const grown = new Uint8Array(roomFor(length, old.length));
  if (kept > 0) grown.set(old.subarray(0, kept));
  memory[name] = grown;
  return grown;
}

export function wordsOf(memory: PageMemory, name: Words, length: number, kept = 0): Int32Array {
  const old = memory[name];
  if (old.length >= length) return old;
  const grown = new Int32Array(roomFor(length, old.length));
  if (kept > 0) grown.set(old.subarray(0, kept));
  memory[name] = grown;
  return grown;
}

const roomFor = (length: number, before: number) => (before === 0 ? length : Math.max(length, before * 2));

/** What is kept at the most for the files to come. */
const KEPT_BYTES = 32 << 20;
const kept: PageMemory[] = [];
let keptBytes = 0;

const sizeOf = (memory: PageMemory) => Object.values(memory).reduce((total, array) => total + array.byteLength, 0);

/** Memory for a column: that of one whose reading has ended, or new. Small files would spend their time in its making. */
export function takePageMemory(): PageMemory {
  const memory = kept.pop();
  if (memory === undefined) return pageMemory();
  keptBytes -= sizeOf(memory);
  return memory;
}

export function givePageMemory(memory: PageMemory): void {
  const size = sizeOf(memory);
  if (keptBytes + size > KEPT_BYTES) return;
  keptBytes += size;
  kept.push(memory);
}
