import { MillraceError } from '@millrace/base';
import { readBloomFilter, type StoredBloomFilter } from './bloom-filter.ts';
import { type ByteRange, readRanges } from './chunk-ranges.ts';
import type { FetchedChunk, PageRun } from './column-reader.ts';
import { corrupt } from './corrupt.ts';
import type { LeafNode } from './file-schema.ts';
import { type ChunkMetadata, chunkOffset, type RowGroupMetadata } from './metadata-writer.ts';
import { type PageBounds, type PagePlace, readColumnIndex, readOffsetIndex } from './page-index-reader.ts';
import type { RowRange } from './row-ranges.ts';
import { readThrift } from './thrift-reader.ts';

/** More than the header of a Bloom filter ever has; behind the last filter there is still the footer. */
const BLOOM_HEADER_BYTES = 32;

export type ReadBytes = (start: number, end: number) => Promise<Uint8Array>;

/** The pages of one row group: what its indexes say of them, read once when it is asked for, and their bytes. */
export class RowGroupPages {
  readonly #group: RowGroupMetadata;
  readonly #read: ReadBytes;
  readonly #maxIndexBytes: number;
  readonly #places = new Map<number, PagePlace[] | undefined>();
  readonly #bounds = new Map<number, PageBounds[]>();

  constructor(group: RowGroupMetadata, read: ReadBytes, maxIndexBytes: number) {
    this.#group = group;
    this.#read = read;
    this.#maxIndexBytes = maxIndexBytes;
  }

  chunkOf(leaf: LeafNode): ChunkMetadata {
    return this.#group.chunks[leaf.chunk]!;
  }

  /** The pages of a leaf by the column index, with their rows; undefined where the file has no such index. */
  async bounds(leaf: LeafNode): Promise<{ rows: RowRange; bounds: PageBounds }[] | undefined> {
    const chunk = this.chunkOf(leaf);
    if (chunk.columnIndex === undefined || chunk.offsetIndex === undefined) return undefined;
    await this.#loadPlaces([leaf]);
    const places = this.#places.get(leaf.chunk)!;
    let bounds = this.#bounds.get(leaf.chunk);
    if (bounds === undefined) {
      const bytes = await this.#index(chunk.columnIndex);
      bounds = named(leaf, () => readColumnIndex(bytes, places.length));
      this.#bounds.set(leaf.chunk, bounds);
    }
    return bounds.map((page, i) => ({ rows: this.#rowsOf(places, i), bounds: page }));
  }

  /** A leaf's Bloom filter; undefined where it has none. */
  async bloomFilter(leaf: LeafNode): Promise<StoredBloomFilter | undefined> {
    const place = this.chunkOf(leaf).bloomFilter;
    if (place === undefined) return undefined;
    let { length } = place;
    if (length < 0) {
      // The length came late to the format: before, only the filter's header told it.
      const head = await this.#read(place.offset, place.offset + BLOOM_HEADER_BYTES);
      length = named(leaf, () => {
        const { struct, end } = readThrift(head, 0, 'BloomFilterHeader');
        return struct.size(1) + end;
      });
    }
    const bytes = await this.#index({ offset: place.offset, length });
    return named(leaf, () => readBloomFilter(bytes));
  }

  /** The pages that some rows lie in; whole chunks when that is all rows, or where the file has no offset index. */
  async fetch(leaves: readonly LeafNode[], rows: readonly RowRange[]): Promise<FetchedChunk[]> {
    const all = rows.length === 1 && rows[0]!.start === 0 && rows[0]!.end === this.#group.rowCount;
    if (!all) await this.#loadPlaces(leaves);
    const wanted = leaves.map((leaf) => {
      const places = all ? undefined : this.#places.get(leaf.chunk);
      return wantedRanges(this.chunkOf(leaf), places, (page) => {
        const { start, end } = this.#rowsOf(places!, page);
        return rows.some((range) => range.start < end && range.end > start);
      });
    });
    const bytes = await readRanges(
      wanted.flatMap(({ ranges }) => ranges),
      this.#read,
    );
    let at = 0;
    return wanted.map(({ ranges, firstRows, hasDictionary }) => {
      const parts = bytes.slice(at, (at += ranges.length));
      const dictionary = hasDictionary ? parts.shift() : undefined;
      const runs: PageRun[] = parts.map((part, i) => ({ bytes: part, row: firstRows[i]! }));
      return { dictionary, runs };
    });
  }

  #rowsOf(places: PagePlace[], page: number): RowRange {
    return { start: places[page]!.firstRow, end: places[page + 1]?.firstRow ?? this.#group.rowCount };
  }

  async #loadPlaces(leaves: readonly LeafNode[]): Promise<void> {
    const missing = leaves.filter((leaf) => !this.#places.has(leaf.chunk));
    const indexed = missing.filter((leaf) => this.chunkOf(leaf).offsetIndex !== undefined);
    const bytes = await readRanges(
      indexed.map((leaf) => this.#rangeOf(this.chunkOf(leaf).offsetIndex!)),
      this.#read,
    );
    for (const leaf of missing) this.#places.set(leaf.chunk, undefined);
    for (const [i, leaf] of indexed.entries()) {
      const chunk = this.chunkOf(leaf);
      const start = chunkOffset(chunk);
      const places = named(leaf, () =>
        readOffsetIndex(bytes[i]!, start, start + chunk.compressedBytes, this.#group.rowCount),
      );
      this.#places.set(leaf.chunk, places);
    }
  }

  #index(place: { offset: number; length: number }): Promise<Uint8Array> {
    const { start, end } = this.#rangeOf(place);
    return this.#read(start, end);
  }

  #rangeOf({ offset, length }: { offset: number; length: number }): ByteRange {
    if (length > this.#maxIndexBytes) throw corrupt(`a page index of ${length} bytes`);
    return { start: offset, end: offset + length };
  }
}

/** What is to be fetched of a chunk, neighbouring pages together: first its dictionary, where pages are picked. */
function wantedRanges(
  chunk: ChunkMetadata,
  places: PagePlace[] | undefined,
  isWanted: (page: number) => boolean,
): { ranges: ByteRange[]; firstRows: number[]; hasDictionary: boolean } {
  const begin = chunkOffset(chunk);
  const end = begin + chunk.compressedBytes;
  const first = places?.[0];
  if (places === undefined || first === undefined)
    return { ranges: [{ start: begin, end }], firstRows: [0], hasDictionary: false };
  const ranges: ByteRange[] = [];
  const firstRows: number[] = [];
  let last = -2;
  for (const [page, { offset, sizeBytes, firstRow }] of places.entries()) {
    if (!isWanted(page)) continue;
    const range = ranges.at(-1);
    if (range !== undefined && last === page - 1 && range.end === offset) range.end = offset + sizeBytes;
    else {
      ranges.push({ start: offset, end: offset + sizeBytes });
      firstRows.push(firstRow);
    }
    last = page;
  }
  // Whatever lies before the first data page is the dictionary: some writers name no offset for it.
  const hasDictionary = first.offset > begin;
  if (hasDictionary) ranges.unshift({ start: begin, end: first.offset });
  return { ranges, firstRows, hasDictionary };
}

function named<T>(leaf: LeafNode, run: () => T): T {
  try {
    return run();
  } catch (thrown) {
    throw thrown instanceof MillraceError ? thrown.with({ column: leaf.name }) : thrown;
  }
}
