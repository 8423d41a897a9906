import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib';

/**
 * The compressor behind a node:zlib stream. It is none of Node's documented interface, so it is used only where it gives
 * what zstdCompressSync gives.
 */
interface Compressor {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputStart: number,
    inputLength: number,
    output: Uint8Array,
    outputStart: number,
    outputLength: number,
  ): void;
}

type Compress = (bytes: Uint8Array) => Uint8Array;

/** Larger pages than this are compressed into memory of their own. */
const OUTPUT_BYTES = 4 << 20;
/** What every compressed page is first written into. */
let output = new Uint8Array(0);

const byLevel = new Map<number, Compress>();

/**
 * One zstd frame, with the size of its content in its header. Valid until the next call: zstdCompressSync makes a context
 * and a buffer for each page, which cost a fifth of the compression, and keep the garbage collector busy with memory that
 * it does not see.
 */
export function compressZstd(bytes: Uint8Array, level: number): Uint8Array {
  let compress = byLevel.get(level);
  if (compress === undefined) {
    compress = reusedCompressor(level) ?? ((page) => compressOnce(page, level));
    byLevel.set(level, compress);
  }
  return compress(bytes);
}

/** ZSTD_COMPRESSBOUND, and a little more. */
const bound = (size: number): number => size + (size >> 7) + 128;

const compressOnce = (bytes: Uint8Array, level: number): Uint8Array =>
  zstdCompressSync(bytes, {
    params: { [constants.ZSTD_c_compressionLevel]: level },
    pledgedSrcSize: bytes.length,
    // One chunk that holds whatever comes out: growing and joining chunks costs a quarter.
    chunkSize: bound(bytes.length),
  });

/**
 * Ends a frame with each page, and never resets: a reset would lose the level, while a frame that has ended is followed by
 * the next with the same parameters. Undefined where this Node does not work that way.
 */
function reusedCompressor(level: number): Compress | undefined {
  const stream = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level } });
  const { _handle: handle, _writeState: left } = stream as unknown as {
    _handle?: Partial<Compressor>;
    _writeState?: Uint32Array;
  };
  if (typeof handle?.writeSync !== 'function' || !(left instanceof Uint32Array) || left.length !== 2) return undefined;
  // An error shows in what is left, and compressOnce() then says what it is.
  stream.on('error', () => undefined);
  const compress = (bytes: Uint8Array): Uint8Array => {
    const most = bound(bytes.length);
    if (most > OUTPUT_BYTES) return compressOnce(bytes, level);
    if (output.length < most) output = new Uint8Array(Math.max(most, 2 * output.length));
    (handle as Compressor).writeSync(constants.ZSTD_e_end, bytes, 0, bytes.length, output, 0, output.length);
    const [outputLeft, inputLeft] = left as unknown as [number, number];
    // Room is left, or the frame might go on.
    if (inputLeft === 0 && outputLeft > 0) return output.subarray(0, output.length - outputLeft);
    byLevel.set(level, (page) => compressOnce(page, level));
    return compressOnce(bytes, level);
  };
  try {
    const probe = Uint8Array.from({ length: 4096 }, (_, i) => (i * i) >> (i & 7));
    for (let n = 0; n < 2; n++) if (Buffer.compare(compress(probe), compressOnce(probe, level)) !== 0) return undefined;
    return compress;
  } catch {
    return undefined;
  }
}
