import { type ChunkMetadata, chunkOffset } from './metadata-writer.ts';

/** Chunks this close together are fetched in one read: an object store charges more for a request than for a gap. */
const MAX_GAP_BYTES = 256 << 10;
const MAX_READ_BYTES = 32 << 20;

/** The bytes of some column chunks, those that lie side by side in one read. */
export async function readChunks(
  chunks: ChunkMetadata[],
  read: (start: number, end: number) => Promise<Uint8Array>,
): Promise<Uint8Array[]> {
  const ranges = chunks
    .map((chunk, index) => ({ index, start: chunkOffset(chunk), end: chunkOffset(chunk) + chunk.compressedBytes }))
    .sort((a, b) => a.start - b.start);
  const reads: { start: number; end: number; of: typeof ranges }[] = [];
  for (const range of ranges) {
    const last = reads.at(-1);
    const joins = last && range.start - last.end <= MAX_GAP_BYTES && range.end - last.start <= MAX_READ_BYTES;
    if (last && joins) {
      last.end = Math.max(last.end, range.end);
      last.of.push(range);
    } else reads.push({ start: range.start, end: range.end, of: [range] });
  }
  const bytes: Uint8Array[] = [];
  await Promise.all(
    reads.map(async ({ start, end, of }) => {
      const got = await read(start, end);
      for (const range of of) bytes[range.index] = got.subarray(range.start - start, range.end - start);
    }),
  );
  return bytes;
}
