import type { BytesVector, Vector } from '@millrace/columns';
import type { BloomFilter } from './bloom-filter.ts';
import { type Bound, comparator, parquetLower, parquetUpper } from './bounds.ts';
import { ByteBuffer } from './byte-buffer.ts';
import type { CodecName } from './codec.ts';
import { type ColumnMemory, giveMemory, takeMemory } from './column-memory.ts';
import { dictionaryShare } from './dictionary-choice.ts';
import { ENCODING, PAGE, PHYSICAL } from './format.ts';
import type { Leaf } from './leaf.ts';
import { type LeafCursor, passRows } from './leaf-cursor.ts';
import { PageLevels, resolveLeaf, slotOf } from './levels.ts';
import type { ModulePlace } from './module-seal.ts';
import { PageBlocks } from './page-blocks.ts';
import { finishDataPage, finishDictionaryPage, type PageOptions } from './page-writer.ts';
import { type EncodingChoice, pageWriter } from './value-encoding.ts';

/** A finished page, for the page index. `offset` is from the begin of the chunk's data pages. */
export interface WrittenPage {
  offset: number;
  /** With its header. */
  sizeBytes: number;
  firstRow: number;
  nullCount: number;
  /** Levels, that is values and nulls. */
  valueCount: number;
  min: Uint8Array | undefined;
  max: Uint8Array | undefined;
  /** False where long values are not kept: `min` and `max` are then bounds of them. */
  isExact: boolean;
  /** Values are there and every one is NaN: the page has no bounds, and then the chunk no ColumnIndex. */
  onlyNan: boolean;
}

/** A finished column chunk. */
export interface WrittenChunk {
  leaf: Leaf;
  dictionaryPage: Uint8Array | undefined;
  /** In order; giveBack() takes each of them when it has been written. */
  dataPages: Uint8Array[];
  /** Before compression, headers included. */
  uncompressedBytes: number;
  pages: WrittenPage[];
  pageEncodings: Map<number, number>;
  valueCount: number;
  nullCount: number;
  nanCount: number;
  min: Uint8Array | undefined;
  max: Uint8Array | undefined;
  lower: Bound | undefined;
  upper: Bound | undefined;
  /** With its header. */
  bloomFilter: Uint8Array | undefined;
  /** Of BYTE_ARRAY: the bytes of all values, without their lengths. */
  unencodedBytes: number | undefined;
}

export interface ColumnWriterOptions extends PageOptions {
  codec: CodecName;
  rowGroupRows: number;
  pageRows: number;
  pageBytes: number;
  encoding: EncodingChoice;
  bloomFilter: BloomFilter | undefined;
  /** Its place among the columns of a row group. */
  column: number;
}

/** Rows that go into a page at a time where a row's size is not known beforehand. */
const SLICE_ROWS = 2048;

/** The least and the greatest value of a page are kept as they are up to so many bytes together. */
const EXACT_BYTES = 2048;

/** The page that is being written, whichever column's; a page of huge values does not stay. */
const scratch = { page: new ByteBuffer(65_536) };
const SCRATCH_BYTES = 4 << 20;

/** Writes the chunks of one column, one after the other: levels and values into pages, pages compressed as they fill. */
export class ColumnWriter {
  readonly #leaf: Leaf;
  readonly #options: ColumnWriterOptions;
  readonly #levels: PageLevels;
  readonly #memory: ColumnMemory;
  readonly #compare: (a: Uint8Array, b: Uint8Array) => number;
  readonly #dataPages = new PageBlocks();
  #pages: WrittenPage[] = [];
  #pageEncodings = new Map<number, number>();
  #pageRows = 0;
  #rows = 0;
  #levelsOfChunk = 0;
  #nulls = 0;
  #nans = 0;
  #uncompressed = 0;
  #unencoded = 0;
  #min: Uint8Array | undefined;
  #max: Uint8Array | undefined;
  #rowGroup = 0;

  constructor(leaf: Leaf, options: ColumnWriterOptions) {
    this.#leaf = leaf;
    this.#options = options;
    this.#memory = takeMemory(leaf);
    this.#levels = new PageLevels(leaf, this.#memory.levels);
    this.#compare = comparator(leaf.type, leaf.fixedLength);
    const { encoding, bloomFilter } = options;
    const writePlain = pageWriter(leaf, encoding.plain);
    this.#memory.values.begin({
      dictionary: encoding.dictionary,
      dictionaryShare: dictionaryShare(options.codec),
      writePlain:
        bloomFilter === undefined
          ? writePlain
          : (plain, count, out) => {
              bloomFilter.add(plain, count);
              return writePlain(plain, count, out);
            },
    });
  }

  /** Bytes held in memory for the chunk begun. */
  get heldBytes(): number {
    const { values } = this.#memory;
    return this.#dataPages.length + values.pageBytes + values.dictionaryBytes;
  }

  /** Takes rows [from, to) of a batch's columns. */
  append(columns: Vector[], from: number, to: number): void {
    const batch = resolveLeaf(this.#leaf, columns);
    let slot = slotOf(batch, from);
    const bytes = plainBytes(batch.vector, slot, slotOf(batch, to));
    if (this.#leaf.physical === PHYSICAL.BYTE_ARRAY) this.#unencoded += bytes;
    // A quarter of a page at a time, so that a page of long values, or lists, ends not far beyond its limit.
    const sliceRows = Math.max(1, Math.floor(((to - from) * this.#options.pageBytes) / (4 * Math.max(1, bytes))));
    for (let row = from; row < to; ) {
      const end = Math.min(to, row + Math.min(sliceRows, this.#options.pageRows - this.#pageRows));
      this.#levels.append(batch, row, end);
      this.#pageRows += end - row;
      const endSlot = slotOf(batch, end);
      this.#memory.values.append(batch.vector, slot, endSlot, this.#expectedValues());
      slot = endSlot;
      if (this.#pageRows >= this.#options.pageRows || this.#memory.values.pageBytes >= this.#options.pageBytes)
        this.#endPage();
      row = end;
    }
  }

  /** Takes this many rows of a leaf as they were read; the cursor goes on behind them. */
  appendLeaf(cursor: LeafCursor, rows: number): void {
    const { definition, repetition, values, entries } = cursor.column;
    const sliceRows = this.#sliceRows(values);
    for (let left = rows; left > 0; ) {
      const take = Math.min(left, sliceRows, this.#options.pageRows - this.#pageRows);
      const { level, value } = cursor;
      passRows(cursor, take);
      this.#levels.appendLevels(definition, repetition, level, cursor.level);
      this.#pageRows += take;
      this.#memory.values.append(values, value, cursor.value, this.#expectedValues(), entries);
      if (this.#leaf.physical === PHYSICAL.BYTE_ARRAY)
        this.#unencoded += sum((values as BytesVector).lengths, value, cursor.value);
      if (this.#pageRows >= this.#options.pageRows || this.#memory.values.pageBytes >= this.#options.pageBytes)
        this.#endPage();
      left -= take;
    }
  }

  /** Ends the chunk and begins the next. */
  endChunk(): WrittenChunk {
    if (this.#pageRows > 0) this.#endPage(this.#levelsOfChunk + this.#levels.count);
    // Pages of nulls alone name the dictionary too, so it is there even when it is empty.
    const empty = this.#pageEncodings.has(ENCODING.RLE_DICTIONARY) ? { count: 0, bytes: new Uint8Array(0) } : undefined;
    const dictionary = this.#memory.values.endChunk() ?? empty;
    const { bloomFilter } = this.#options;
    let dictionaryPage: Uint8Array | undefined;
    if (dictionary !== undefined) {
      bloomFilter?.add(dictionary.bytes, dictionary.count);
      const { header, body } = finishDictionaryPage(
        dictionary.bytes,
        dictionary.count,
        this.#options,
        this.#placeOf(0),
      );
      dictionaryPage = Buffer.concat([header, ...body]);
      this.#uncompressed += header.length + dictionary.bytes.length;
    }
    const chunk: WrittenChunk = {
      leaf: this.#leaf,
      dictionaryPage,
      dataPages: this.#dataPages.take(),
      uncompressedBytes: this.#uncompressed,
      pages: this.#pages,
      pageEncodings: this.#pageEncodings,
      valueCount: this.#levelsOfChunk,
      nullCount: this.#nulls,
      nanCount: this.#nans,
      min: this.#min,
      max: this.#max,
      lower: this.#min && parquetLower(this.#leaf.type, this.#min),
      upper: this.#max && parquetUpper(this.#leaf.type, this.#max),
      bloomFilter: bloomFilter?.finish(this.#options.seal, this.#placeOf(0)),
      unencodedBytes: this.#leaf.physical === PHYSICAL.BYTE_ARRAY ? this.#unencoded : undefined,
    };
    this.#rowGroup++;
    this.#pages = [];
    this.#pageEncodings = new Map();
    this.#rows = this.#levelsOfChunk = this.#nulls = this.#nans = this.#uncompressed = this.#unencoded = 0;
    this.#min = this.#max = undefined;
    return chunk;
  }

  /** Ends the column writer: what it worked in serves other files. All chunks must have been written. */
  end(): void {
    giveMemory(this.#leaf, this.#memory);
  }

  #endPage(expectedValues = this.#expectedValues()): void {
    const { page } = scratch;
    page.length = 0;
    const levels = this.#levels.count;
    let repetitionBytes = 0;
    if (this.#options.pageVersion === 1) this.#levels.write(page);
    else repetitionBytes = this.#levels.writeV2(page);
    const definitionBytes = page.length - repetitionBytes;
    const values = this.#memory.values.writePage(page, expectedValues);
    const data = {
      page: page.used,
      valueCount: levels,
      nullCount: levels - values.count,
      rowCount: this.#pageRows,
      encoding: values.encoding,
      repetitionBytes,
      definitionBytes,
    };
    const { header, body, bodyBytes } = finishDataPage(data, this.#options, this.#placeOf(this.#pages.length));
    const offset = this.#dataPages.length;
    this.#dataPages.append(header);
    for (const part of body) this.#dataPages.append(part);
    const { min, max } = values;
    const isLong = min !== undefined && max !== undefined && min.length + max.length > EXACT_BYTES;
    this.#pages.push({
      offset,
      sizeBytes: header.length + bodyBytes,
      firstRow: this.#rows,
      nullCount: levels - values.count,
      valueCount: levels,
      min: isLong ? parquetLower(this.#leaf.type, min).value.slice() : min?.slice(),
      max: isLong ? parquetUpper(this.#leaf.type, max).value.slice() : max?.slice(),
      isExact: !isLong,
      onlyNan: values.count > 0 && min === undefined,
    });
    this.#pageEncodings.set(values.encoding, (this.#pageEncodings.get(values.encoding) ?? 0) + 1);
    if (min !== undefined && (this.#min === undefined || this.#compare(min, this.#min) < 0)) this.#min = min.slice();
    if (max !== undefined && (this.#max === undefined || this.#compare(max, this.#max) > 0)) this.#max = max.slice();
    this.#rows += this.#pageRows;
    this.#pageRows = 0;
    this.#levelsOfChunk += levels;
    this.#nulls += levels - values.count;
    this.#nans += values.nanCount;
    this.#uncompressed += header.length + page.length;
    if (page.bytes.length > SCRATCH_BYTES) scratch.page = new ByteBuffer(65_536);
  }

  #placeOf(page: number): ModulePlace {
    return { module: 0, rowGroup: this.#rowGroup, column: this.#options.column, page };
  }

  /** About how many values a full chunk has, nulls counted: as many a row as so far. */
  #expectedValues(): number {
    const values = this.#levelsOfChunk + this.#levels.count;
    return (values / (this.#rows + this.#pageRows)) * this.#options.rowGroupRows;
  }

  #sliceRows(vector: Vector): number {
    if (vector.kind === 'bytes' && vector.length > 0) {
      const quarter = Math.floor((this.#options.pageBytes * vector.length) / (4 * Math.max(1, vector.source.length)));
      return Math.max(1, Math.min(SLICE_ROWS, quarter));
    }
    return this.#leaf.maxRepetition > 0 ? SLICE_ROWS : this.#options.pageRows;
  }
}

/** Of slots [from, to): what byte strings have, 8 bytes for any other value. */
const plainBytes = (vector: Vector, from: number, to: number): number =>
  vector.kind === 'bytes' ? sum(vector.lengths, from, to) : 8 * (to - from);

function sum(lengths: Int32Array, from: number, to: number): number {
  let total = 0;
  for (let i = from; i < to; i++) total += lengths[i]!;
  return total;
}

/** The encodings of a chunk, levels included, as ColumnMetaData names them. */
export function chunkEncodings(chunk: WrittenChunk): number[] {
  const encodings = new Set([ENCODING.RLE, ...chunk.pageEncodings.keys()]);
  if (chunk.dictionaryPage !== undefined) encodings.add(ENCODING.PLAIN);
  return [...encodings].sort((a, b) => a - b);
}

/** How many pages of which type and encoding a chunk has (ColumnMetaData.encoding_stats). */
export function chunkEncodingStats(
  chunk: WrittenChunk,
  pageVersion: 1 | 2,
): { pageType: number; encoding: number; count: number }[] {
  const pageType = pageVersion === 1 ? PAGE.DATA : PAGE.DATA_V2;
  const data = [...chunk.pageEncodings].map(([encoding, count]) => ({ pageType, encoding, count }));
  if (chunk.dictionaryPage === undefined) return data;
  return [{ pageType: PAGE.DICTIONARY, encoding: ENCODING.PLAIN, count: 1 }, ...data];
}
