import { corrupt } from './corrupt.ts';
import { decompressPage } from './decompress.ts';
import type { LeafNode } from './file-schema.ts';
import { ENCODING, PAGE } from './format.ts';
import { readHybrid } from './hybrid-reader.ts';
import { bitWidth } from './hybrid-writer.ts';
import type { ChunkMetadata } from './metadata-writer.ts';
import {
  concatBytes,
  joinPieces,
  type LeafFormat,
  type Piece,
  type RawValues,
  readValues,
  slice,
} from './raw-values.ts';
import { readThrift, type ThriftStruct } from './thrift-reader.ts';

/** The rows of one leaf that were asked for: its levels and its values. */
export interface LeafRows {
  count: number;
  /** Undefined: every level is the greatest. */
  definition: Uint8Array | undefined;
  /** Undefined: every level is 0. */
  repetition: Uint8Array | undefined;
  raw: RawValues;
}

interface Page {
  count: number;
  definition: Uint8Array | undefined;
  repetition: Uint8Array | undefined;
  raw: RawValues;
}

/** Values of one page at the most: what they take is allocated before they are read. */
const MAX_PAGE_VALUES = 1 << 26;

/** Reads one column chunk from its bytes, some rows at a time. */
export class ColumnReader {
  readonly #leaf: LeafNode;
  readonly #chunk: ChunkMetadata;
  readonly #bytes: Uint8Array;
  readonly #maxPageBytes: number;
  readonly #format: LeafFormat;
  #at = 0;
  #left: number;
  #dictionary: RawValues | undefined;
  #page: Page | undefined;
  /** The next level and value of the page. */
  #level = 0;
  #value = 0;

  constructor(leaf: LeafNode, chunk: ChunkMetadata, bytes: Uint8Array, maxPageBytes: number) {
    this.#leaf = leaf;
    this.#chunk = chunk;
    this.#bytes = bytes;
    this.#maxPageBytes = maxPageBytes;
    this.#format = { physical: chunk.physical, typeLength: leaf.element.typeLength ?? 0 };
    this.#left = chunk.valueCount;
    if (chunk.physical !== leaf.element.physical) throw corrupt(`column "${leaf.name}" changes its type`);
  }

  read(rows: number): LeafRows {
    const pieces: Piece[] = [];
    const levels: { page: Page; from: number; to: number }[] = [];
    for (let taken = 0; ; ) {
      const page = this.#currentPage();
      if (page === undefined) {
        if (taken < rows) throw corrupt(`column "${this.#leaf.name}" ends ${rows - taken} rows early`);
        break;
      }
      const from = this.#level;
      const { end, starts } = rowsEnd(page, from, rows - taken);
      taken += starts;
      const values = valuesBetween(page, from, end, this.#leaf.definition);
      levels.push({ page, from, to: end });
      pieces.push({ raw: page.raw, from: this.#value, to: this.#value + values });
      this.#level = end;
      this.#value += values;
      // A row of a list may go on in the next page: only the next row's begin ends it.
      if (taken === rows && (end < page.count || this.#leaf.repetition === 0)) break;
    }
    const parts = levels.filter(({ from, to }) => to > from);
    const join = (of: (page: Page) => Uint8Array | undefined, fill: number) =>
      parts.some(({ page }) => of(page) !== undefined)
        ? concatBytes(
            parts.map(({ page, from, to }) => of(page)?.subarray(from, to) ?? new Uint8Array(to - from).fill(fill)),
          )
        : undefined;
    return {
      count: parts.reduce((total, { from, to }) => total + to - from, 0),
      definition: join((page) => page.definition, this.#leaf.definition),
      repetition: join((page) => page.repetition, 0),
      raw: joinPieces(pieces, this.#empty()),
    };
  }

  #empty(): RawValues {
    return slice(readValues(this.#format, ENCODING.PLAIN, new Uint8Array(0), 0, 0, undefined, 0), 0, 0);
  }

  #currentPage(): Page | undefined {
    while (this.#page === undefined || this.#level >= this.#page.count) {
      if (this.#left === 0) return undefined;
      this.#page = this.#nextPage();
      this.#level = 0;
      this.#value = 0;
      this.#left -= this.#page.count;
    }
    return this.#page;
  }

  #nextPage(): Page {
    for (;;) {
      if (this.#at >= this.#bytes.length) throw corrupt(`column "${this.#leaf.name}" has fewer values than it says`);
      const { struct: header, end } = readThrift(this.#bytes, this.#at, 'PageHeader');
      const type = header.number(1);
      const size = header.size(2);
      const compressedSize = header.size(3);
      if (compressedSize > this.#bytes.length - end)
        throw corrupt(`a page of column "${this.#leaf.name}" is cut short`);
      if (size > this.#maxPageBytes) throw corrupt(`a page of ${size} bytes, where ${this.#maxPageBytes} are allowed`);
      const body = this.#bytes.subarray(end, end + compressedSize);
      this.#at = end + compressedSize;
      if (type === PAGE.DICTIONARY) this.#dictionary = this.#readDictionary(header, body, size);
      else if (type === PAGE.DATA) return this.#readV1(header, body, size);
      else if (type === PAGE.DATA_V2) return this.#readV2(header, body, size);
    }
  }

  #readDictionary(header: ThriftStruct, body: Uint8Array, size: number): RawValues {
    const count = header.struct(7, 'DictionaryPageHeader')?.size(1) ?? 0;
    const bytes = decompressPage(this.#chunk.codec, body, size);
    return readValues(this.#format, ENCODING.PLAIN, bytes, 0, count, undefined, this.#maxPageBytes);
  }

  #readV1(header: ThriftStruct, body: Uint8Array, size: number): Page {
    const data = header.struct(5, 'DataPageHeader');
    if (data === undefined) throw corrupt('a data page has no header of its own');
    const count = this.#valueCount(data.size(1));
    const bytes = decompressPage(this.#chunk.codec, body, size);
    let at = 0;
    const levels = (max: number, encoding: number): Uint8Array | undefined => {
      if (max === 0) return undefined;
      if (encoding !== ENCODING.RLE) throw corrupt(`levels of encoding ${encoding}`);
      if (at + 4 > bytes.length) throw corrupt('a data page is cut short');
      const length = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
      at += 4;
      if (length > bytes.length - at) throw corrupt('the levels of a data page are cut short');
      at += length;
      return readLevels(bytes, at - length, at, max, count);
    };
    const repetition = levels(this.#leaf.repetition, data.number(4));
    const definition = levels(this.#leaf.definition, data.number(3));
    return this.#decode(count, definition, repetition, data.number(2), bytes, at);
  }

  #readV2(header: ThriftStruct, body: Uint8Array, size: number): Page {
    const data = header.struct(8, 'DataPageHeaderV2');
    if (data === undefined) throw corrupt('a data page has no header of its own');
    const count = this.#valueCount(data.size(1));
    const definitionBytes = data.size(5);
    const repetitionBytes = data.size(6);
    const levelBytes = definitionBytes + repetitionBytes;
    if (levelBytes > body.length || levelBytes > size) throw corrupt('the levels of a data page are cut short');
    const { repetition: maxRepetition, definition: maxDefinition } = this.#leaf;
    const repetition = maxRepetition === 0 ? undefined : readLevels(body, 0, repetitionBytes, maxRepetition, count);
    const definition =
      maxDefinition === 0 ? undefined : readLevels(body, repetitionBytes, levelBytes, maxDefinition, count);
    const values = body.subarray(levelBytes);
    // A page of nulls only has nothing that could have been compressed.
    const compressed = data.bool(7, true) && values.length > 0;
    const bytes = compressed ? decompressPage(this.#chunk.codec, values, size - levelBytes) : values;
    return this.#decode(count, definition, repetition, data.number(4), bytes, 0);
  }

  #decode(
    count: number,
    definition: Uint8Array | undefined,
    repetition: Uint8Array | undefined,
    encoding: number,
    bytes: Uint8Array,
    at: number,
  ): Page {
    const page = { count, definition, repetition };
    const values = valuesBetween(page, 0, count, this.#leaf.definition);
    const raw = readValues(this.#format, encoding, bytes, at, values, this.#dictionary, this.#maxPageBytes);
    return { ...page, definition: values === count ? undefined : definition, raw };
  }

  #valueCount(count: number): number {
    if (count > this.#left || count > MAX_PAGE_VALUES)
      throw corrupt(`a page of ${count} values where column "${this.#leaf.name}" has ${this.#left} left`);
    return count;
  }
}

function readLevels(bytes: Uint8Array, from: number, to: number, max: number, count: number): Uint8Array {
  const levels = new Uint8Array(count);
  readHybrid(bytes, from, to, bitWidth(max), count, levels);
  for (let i = 0; i < count; i++)
    if (levels[i]! > max) throw corrupt(`a level of ${levels[i]} where ${max} is the most`);
  return levels;
}

/** Where this many rows end, and how many begin before that. */
function rowsEnd(
  { repetition, count }: Omit<Page, 'raw'>,
  from: number,
  rows: number,
): { end: number; starts: number } {
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

function valuesBetween(
  { definition }: { definition: Uint8Array | undefined },
  from: number,
  to: number,
  max: number,
): number {
  if (definition === undefined) return to - from;
  let values = 0;
  for (let i = from; i < to; i++) if (definition[i] === max) values++;
  return values;
}
