import { MillraceError } from '@millrace/base';
import { corrupt } from './corrupt.ts';
import type { LeafNode } from './file-schema.ts';
import { PAGE, PHYSICAL } from './format.ts';
import { type LeafRows, LeafRowsBuilder } from './leaf-rows.ts';
import type { ChunkMetadata } from './metadata-writer.ts';
import { givePageMemory, type PageMemory, takePageMemory } from './page-memory.ts';
import { type Page, PageDecoder, type PageLimits, type RawPage, readPage, rowsOfPage } from './page-reader.ts';
import type { RawValues } from './raw-values.ts';
import type { RowRange } from './row-ranges.ts';

/** Pages that follow each other, and the row (of the row group) that the first of them begins with. */
export interface PageRun {
  bytes: Uint8Array;
  row: number;
}

/** The fetched pages of a column chunk: all of it as one run, or those that are wanted, the dictionary apart. */
export interface FetchedChunk {
  dictionary: Uint8Array | undefined;
  runs: PageRun[];
}

/** Reads one column chunk, some rows at a time. */
export class ColumnReader {
  readonly #leaf: LeafNode;
  readonly #name: string;
  readonly #limits: PageLimits;
  readonly #runs: PageRun[];
  readonly #memory: [PageMemory, PageMemory];
  readonly #decoder: PageDecoder;
  readonly #builder: LeafRowsBuilder;
  /** Each page begins and ends with a row: those of an offset index do. */
  readonly #pagesEndRows: boolean;
  #run = 0;
  #at = 0;
  /** The next row; the levels of the one before may go on. */
  #row = 0;
  #pages = 0;
  #page: Page | undefined;
  /** The next level and value of the page. */
  #level = 0;
  #value = 0;

  constructor(leaf: LeafNode, chunk: ChunkMetadata, { dictionary, runs }: FetchedChunk, limits: PageLimits) {
    if (chunk.physical !== leaf.element.physical) throw corrupt(`column "${leaf.name}" changes its type`);
    this.#leaf = leaf;
    this.#name = chunk.path.join('.');
    this.#limits = limits;
    this.#runs = runs;
    this.#memory = [takePageMemory(), takePageMemory()];
    this.#decoder = new PageDecoder(leaf, chunk, limits, this.#memory[0]);
    this.#builder = new LeafRowsBuilder(this.#memory[1], leaf.definition, noValues(chunk.physical));
    this.#pagesEndRows = chunk.offsetIndex !== undefined;
    this.#row = runs[0]?.row ?? 0;
    if (dictionary !== undefined) this.#located(() => this.#decoder.decode(readPage(dictionary, 0, limits)));
  }

  /** These rows, which lie behind those that were read before. What it answers is valid until the next call. */
  read(ranges: readonly RowRange[]): LeafRows {
    return this.#located(() => {
      for (const { start, end } of ranges) {
        while (this.#run + 1 < this.#runs.length && this.#runs[this.#run + 1]!.row <= start) this.#nextRun();
        if (start > this.#row) this.#advance(start - this.#row, false);
        this.#advance(end - start, true);
      }
      return this.#builder.finish();
    });
  }

  /** Its memory serves other columns. What it has answered is void. */
  close(): void {
    this.#decoder.close();
    for (const memory of this.#memory) givePageMemory(memory);
  }

  /** Goes past this many rows, with `wanted` into the builder. */
  #advance(rows: number, wanted: boolean): void {
    const nested = this.#leaf.repetition > 0;
    for (let taken = 0; ; ) {
      const page = this.#currentPage(wanted || nested ? 0 : rows - taken);
      if (page === undefined) {
        if (taken < rows) throw corrupt(`it ends ${rows - taken} rows early`);
        break;
      }
      if (typeof page === 'number') {
        taken += page;
        this.#row += page;
        if (taken === rows) break;
        continue;
      }
      const from = this.#level;
      const { end, starts } = rowsEnd(page, from, rows - taken);
      taken += starts;
      this.#row += starts;
      const fromValue = this.#value;
      this.#value += valuesBetween(page, from, end, this.#leaf.definition);
      this.#level = end;
      if (wanted) this.#builder.add({ page, from, to: end, fromValue, toValue: this.#value });
      // A row of a list may go on in the next page: only the next row's begin ends it.
      if (taken === rows && (end < page.count || !nested || page.endsRow || this.#pagesEndRows)) break;
    }
  }

  /**
   * The page at hand, or the next one that holds something: the number of its rows when it was passed over, as it has at
   * most `passable` of them. Undefined at the end of the run.
   */
  #currentPage(passable: number): Page | number | undefined {
    if (this.#page !== undefined && this.#level < this.#page.count) return this.#page;
    for (;;) {
      const { bytes } = this.#runs[this.#run]!;
      if (this.#at >= bytes.length) {
        if (this.#run + 1 >= this.#runs.length || this.#runs[this.#run + 1]!.row > this.#row) return undefined;
        this.#nextRun();
        continue;
      }
      const raw = readPage(bytes, this.#at, this.#limits);
      this.#at = raw.end;
      this.#page = undefined;
      const rows = passable === 0 ? undefined : rowsOfPage(raw);
      if (rows !== undefined && rows <= passable) {
        this.#pages++;
        return rows;
      }
      const page = this.#open(raw);
      if (page !== undefined && page.count > 0) return page;
    }
  }

  #open(raw: RawPage): Page | undefined {
    // What was read of the last page is in the memory that this one goes into.
    if (raw.type === PAGE.DATA || raw.type === PAGE.DATA_V2) this.#builder.flush();
    const page = this.#decoder.decode(raw);
    if (page === undefined) return undefined;
    if (
      (page.endsRow || this.#pagesEndRows || this.#pages === 0) &&
      page.repetition !== undefined &&
      page.repetition[0] !== 0
    )
      throw corrupt('a page begins within a row');
    this.#pages++;
    this.#page = page;
    this.#level = 0;
    this.#value = 0;
    return page;
  }

  #nextRun(): void {
    this.#run++;
    this.#at = 0;
    this.#row = this.#runs[this.#run]!.row;
    this.#page = undefined;
  }

  #located<T>(run: () => T): T {
    try {
      return run();
    } catch (thrown) {
      const error = thrown instanceof RangeError ? corrupt(thrown.message) : thrown;
      if (!(error instanceof MillraceError)) throw error;
      throw error.with({ column: this.#name, page: this.#pages });
    }
  }
}

function noValues(physical: number): RawValues {
  switch (physical) {
    case PHYSICAL.BOOLEAN:
      return { kind: 'boolean', count: 0, values: new Uint8Array(0) };
    case PHYSICAL.BYTE_ARRAY:
    case PHYSICAL.FIXED_LEN_BYTE_ARRAY:
      return {
        kind: 'bytes',
        count: 0,
        source: new Uint8Array(0),
        starts: new Int32Array(0),
        lengths: new Int32Array(0),
      };
    default: {
      const width =
        physical === PHYSICAL.INT96 ? 3 : physical === PHYSICAL.INT64 || physical === PHYSICAL.DOUBLE ? 2 : 1;
      return { kind: 'words', count: 0, width, words: new Int32Array(0) };
    }
  }
}

/** Where this many rows end, and how many begin before that. */
function rowsEnd({ repetition, count }: Page, from: number, rows: number): { end: number; starts: number } {
  if (repetition === undefined) {
    const end = Math.min(count, from + rows);
    return { end, starts: end - from };
  }
  let starts = 0;
  let end = from;
  for (; end < count; end++) {
    if (repetition[end] !== 0) continue;
    if (starts === rows) break;
    starts++;
  }
  return { end, starts };
}

function valuesBetween({ definition, count, raw }: Page, from: number, to: number, max: number): number {
  if (definition === undefined) return to - from;
  if (from === 0 && to === count) return raw.count;
  let values = 0;
  for (let i = from; i < to; i++) if (definition[i] === max) values++;
  return values;
}
