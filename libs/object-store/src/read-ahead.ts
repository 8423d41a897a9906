import type { ByteRange, ObjectStore } from './object-store.ts';

/** Bytes [start, end) of an object. */
export interface Stretch extends ByteRange {
  key: string;
}

export interface ReadAheadOptions {
  /** Bytes read at a time. */
  chunkBytes: number;
  /** Bytes that are read ahead at the most, beside the chunk in use; at least one chunk is. */
  aheadBytes: number;
  /** Chunks lie in memory that is used again: an answer is valid until the next is asked for. */
  reuse: boolean;
}

/** Opens a reading of stretches, in their order. Readings share memory. */
export type ReadAhead = (stretches: readonly Stretch[], signal?: AbortSignal) => Reading;

/** A reading of stretches from front to back. Close it when it is no longer needed. */
export interface Reading {
  /**
   * Bytes from `start` on: `end - start` or more of them, fewer only where the object or the stretch ends. Asked for
   * front to back, `start` within the bytes of the answer before or where they end; anything else is read by itself.
   */
  get(key: string, range: ByteRange): Promise<Uint8Array>;
  close(): void;
}

interface Chunk extends Stretch {
  memory: Uint8Array | undefined;
  bytes: Promise<Uint8Array>;
}

/** Before each chunk: room for what of the chunk before it is still wanted (the begin of a record batch). */
const HEAD_BYTES = 1 << 20;
/** Chunks that are kept for readings to come. */
const KEPT_CHUNKS = 4;
const MOST_AHEAD = 32;
/** Weight of the newest measurement. */
const NEWEST = 0.3;

/**
 * Reads objects in chunks, the next ones while the caller works on one: as many ahead as are needed for reads to take no
 * longer than the work between them (measured), within `aheadBytes`.
 */
export function createReadAhead(store: Pick<ObjectStore, 'get'>, options: ReadAheadOptions): ReadAhead {
  const { chunkBytes, aheadBytes, reuse } = options;
  const kept: Uint8Array[] = [];
  /** Stores need not read into memory that they are given. */
  let isUsed = reuse;
  let readMs = 0;
  let workMs = 0;
  const newer = (old: number, ms: number) => (old === 0 ? ms : old + NEWEST * (ms - old));

  function takeMemory(length: number): Uint8Array | undefined {
    // Small stretches have small chunks; only full ones are worth keeping.
    if (!isUsed || length !== chunkBytes) return undefined;
    return kept.pop() ?? Buffer.allocUnsafeSlow(HEAD_BYTES + chunkBytes);
  }

  function giveMemory(memory: Uint8Array | undefined): void {
    if (memory !== undefined && kept.length < KEPT_CHUNKS) kept.push(memory);
  }

  return (stretches, signal) => {
    const ahead: Chunk[] = [];
    let bytesAhead = 0;
    let stretch = 0;
    let position = stretches[0]?.start ?? 0;
    let current: { key: string; start: number; bytes: Uint8Array; memory: Uint8Array | undefined } | undefined;
    let answeredMs = 0;
    let closed = false;

    function begin(reachedBytes = 0): void {
      const { key, end } = stretches[stretch]!;
      const chunk = { key, start: position, end: Math.min(end, Math.max(position + chunkBytes, reachedBytes)) };
      const memory = takeMemory(chunk.end - chunk.start);
      const beganMs = performance.now();
      const bytes = store.get(key, chunk, signal, memory?.subarray(HEAD_BYTES)).then((read) => {
        readMs = newer(readMs, performance.now() - beganMs);
        if (memory !== undefined && read.buffer !== memory.buffer) isUsed = false;
        return read;
      });
      // Who asks for it sees the error; when nobody does it does not count.
      bytes.catch(() => {});
      ahead.push({ ...chunk, memory, bytes });
      bytesAhead += chunk.end - chunk.start;
      position = chunk.end;
      if (position >= end) position = stretches[++stretch]?.start ?? 0;
    }

    function readOn(): void {
      const wanted = workMs === 0 ? 1 : Math.min(MOST_AHEAD, Math.max(1, Math.ceil(readMs / workMs)));
      while (stretch < stretches.length && ahead.length < wanted) {
        if (ahead.length > 0 && bytesAhead + chunkBytes > aheadBytes) return;
        begin();
      }
    }

    function take(): Chunk {
      const chunk = ahead.shift()!;
      bytesAhead -= chunk.end - chunk.start;
      return chunk;
    }

    const drop = ({ bytes, memory }: Chunk) => void bytes.catch(() => {}).finally(() => giveMemory(memory));

    /**
     * The chunk that begins at `start`; those before it are passed over. One that is not under way yet is read up to `end`
     * at once. undefined: none begins there.
     */
    function chunkAt(key: string, { start, end }: ByteRange): Chunk | undefined {
      for (;;) {
        if (ahead.length === 0) {
          if (stretch >= stretches.length) return undefined;
          begin(stretches[stretch]!.key === key && position === start ? end : 0);
        }
        const first = ahead[0]!;
        if (first.key === key && first.start === start) return take();
        if (first.key === key && first.start > start) return undefined;
        drop(take());
      }
    }

    async function get(key: string, { start, end }: ByteRange): Promise<Uint8Array> {
      if (answeredMs > 0) workMs = newer(workMs, performance.now() - answeredMs);
      const last = current;
      const held = last !== undefined && last.key === key && start >= last.start ? last : undefined;
      const rest = held?.bytes.subarray(start - held.start);
      const parts = rest === undefined || rest.length === 0 ? [] : [rest];
      let length = rest?.length ?? 0;
      const memories: (Uint8Array | undefined)[] = [last?.memory];
      for (let isWhole = true; isWhole && length < end - start; ) {
        const missing = { start: start + length, end };
        const chunk = chunkAt(key, missing);
        readOn();
        const more = await (chunk?.bytes ?? store.get(key, missing, signal));
        memories.push(chunk?.memory);
        parts.push(more);
        length += more.length;
        isWhole = chunk !== undefined && more.length === chunk.end - chunk.start;
      }
      const memory = memories.pop();
      const bytes = join(parts, memory);
      for (const other of memories) giveMemory(other);
      current = { key, start, bytes, memory };
      readOn();
      answeredMs = performance.now();
      return bytes;
    }

    return {
      get: (key, range) => {
        if (closed) throw new Error('the reading is closed');
        return get(key, range);
      },
      close() {
        if (closed) return;
        closed = true;
        for (const chunk of ahead.splice(0)) drop(chunk);
        giveMemory(current?.memory);
        current = undefined;
      },
    };
  };
}

/** One after the other; two of them in place, when the second lies in memory with room before it. */
function join(parts: Uint8Array[], memory: Uint8Array | undefined): Uint8Array {
  const [first, second] = parts;
  if (second === undefined) return first ?? new Uint8Array(0);
  if (parts.length === 2 && memory !== undefined && second.buffer === memory.buffer && first!.length <= HEAD_BYTES) {
    const start = HEAD_BYTES - first!.length;
    memory.set(first!, start);
    return memory.subarray(start, HEAD_BYTES + second.length);
  }
  return Buffer.concat(parts);
}
