/** Bytes [start, end) of a file. */
export interface ByteRange {
  start: number;
  end: number;
}

/** Ranges this close together are fetched in one read: an object store charges more for a request than for a gap. */
const MAX_GAP_BYTES = 256 << 10;
const MAX_READ_BYTES = 32 << 20;

/** The bytes of some ranges, those that lie near each other in one read. */
export async function readRanges(
  ranges: readonly ByteRange[],
  read: (start: number, end: number) => Promise<Uint8Array>,
): Promise<Uint8Array[]> {
  const reads: { start: number; end: number; of: number[] }[] = [];
  for (const index of [...ranges.keys()].sort((a, b) => ranges[a]!.start - ranges[b]!.start)) {
    const { start, end } = ranges[index]!;
    const last = reads.at(-1);
    if (last !== undefined && start - last.end <= MAX_GAP_BYTES && end - last.start <= MAX_READ_BYTES) {
      last.end = Math.max(last.end, end);
      last.of.push(index);
    } else reads.push({ start, end, of: [index] });
  }
  const bytes: Uint8Array[] = [];
  await Promise.all(
    reads.map(async ({ start, end, of }) => {
      const got = await read(start, end);
      for (const index of of) bytes[index] = got.subarray(ranges[index]!.start - start, ranges[index]!.end - start);
    }),
  );
  return bytes;
}
