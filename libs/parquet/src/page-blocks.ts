/** Bytes of a block. */
const BLOCK_BYTES = 65_536;
/** Blocks that are kept for chunks to come, at the most. */
const KEPT_BLOCKS = 1024;

const free: Uint8Array<ArrayBuffer>[] = [];
/** The memory of blocks that are on their way to a sink. */
const lent = new WeakSet<ArrayBufferLike>();

/**
 * The bytes of a column chunk, in blocks that all columns of all files share: nothing is copied as a chunk grows, no chunk
 * holds more than it needs, and a block serves again as soon as the sink has taken it.
 */
export class PageBlocks {
  length = 0;
  #blocks: Uint8Array<ArrayBuffer>[] = [];
  #room = 0;

  append(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      if (this.#room === 0) {
        this.#blocks.push(free.pop() ?? new Uint8Array(BLOCK_BYTES));
        this.#room = BLOCK_BYTES;
      }
      const part = bytes.subarray(from, from + this.#room);
      this.#blocks.at(-1)!.set(part, BLOCK_BYTES - this.#room);
      this.#room -= part.length;
      from += part.length;
    }
    this.length += bytes.length;
  }

  /** All bytes, in order, and empties this. Each part goes to giveBack() when it has been used. */
  take(): Uint8Array[] {
    const blocks = this.#blocks;
    const parts = blocks.map((block, i) =>
      i < blocks.length - 1 ? block : block.subarray(0, BLOCK_BYTES - this.#room),
    );
    for (const block of blocks) lent.add(block.buffer);
    this.#blocks = [];
    this.length = this.#room = 0;
    return parts;
  }
}

/** Takes a block back that take() gave; all other bytes are left alone. */
export function giveBack(part: Uint8Array): void {
  if (lent.delete(part.buffer) && free.length < KEPT_BLOCKS) free.push(new Uint8Array(part.buffer as ArrayBuffer));
}
