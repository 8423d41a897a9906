import { isAscii, isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { corrupt } from './corrupt.ts';
import { decompressPage } from './decompress.ts';
import type { LeafNode } from './file-schema.ts';
import { CODEC, ENCODING, PAGE } from './format.ts';
import { onlyRun, readBitPacked, readHybrid } from './hybrid-reader.ts';
import { bitWidth } from './hybrid-writer.ts';
import type { ChunkMetadata } from './metadata-writer.ts';
import { bytesOf, type PageMemory, pageMemory } from './page-memory.ts';
import { type RawBytes, type RawValues, readValues } from './raw-values.ts';
import { readThrift, type ThriftStruct } from './thrift-reader.ts';

/** A data page: its levels and its values. Both lie in the reader's memory, and are gone with the next page. */
export interface Page {
  /** Levels. */
  count: number;
  /** Undefined: every level is the greatest. */
  definition: Uint8Array | undefined;
  /** Undefined: every level is 0. */
  repetition: Uint8Array | undefined;
  raw: RawValues;
  /** V2 pages begin and end with rows. */
  endsRow: boolean;
}

export interface PageLimits {
  /** Of a page, decompressed. */
  maxPageBytes: number;
  verifyChecksums: boolean;
}

/** A page before it is decoded. */
export interface RawPage {
  type: number;
  header: ThriftStruct;
  body: Uint8Array;
  /** Of the body, decompressed. */
  sizeBytes: number;
  /** The byte after it. */
  end: number;
}

/** Finds the page that begins at this byte of a chunk. */
export function readPage(bytes: Uint8Array, at: number, { maxPageBytes }: PageLimits): RawPage {
  const { struct: header, end } = readThrift(bytes, at, 'PageHeader');
  const sizeBytes = header.size(2);
  const compressedBytes = header.size(3);
  if (compressedBytes > bytes.length - end) throw corrupt('a page is cut short');
  if (sizeBytes > maxPageBytes) throw corrupt(`a page of ${sizeBytes} bytes, where ${maxPageBytes} are allowed`);
  const body = bytes.subarray(end, end + compressedBytes);
  return { type: header.number(1), header, body, sizeBytes, end: end + compressedBytes };
}

/** Rows of a page of a column that does not repeat, as its header alone tells; undefined for what is no data page. */
export function rowsOfPage({ type, header }: RawPage): number | undefined {
  if (type === PAGE.DATA) return header.struct(5, 'DataPageHeader')?.size(1);
  return type === PAGE.DATA_V2 ? header.struct(8, 'DataPageHeaderV2')?.size(1) : undefined;
}

/** Decodes the pages of one column chunk. */
export class PageDecoder {
  readonly #leaf: LeafNode;
  readonly #chunk: ChunkMetadata;
  readonly #limits: PageLimits;
  readonly #memory: PageMemory;
  #dictionary: RawValues | undefined;
  #dictionaryBytes: Uint8Array | undefined;
  /** The page at hand, decompressed. */
  #pageBytes: Uint8Array | undefined;

  constructor(leaf: LeafNode, chunk: ChunkMetadata, limits: PageLimits, memory: PageMemory) {
    this.#leaf = leaf;
    this.#chunk = chunk;
    this.#limits = limits;
    this.#memory = memory;
  }

  /** A data page; undefined when it was the dictionary, which the pages after it need, or one that holds no data. */
  decode(page: RawPage): Page | undefined {
    const { type, header } = page;
    if (this.#limits.verifyChecksums) checkCrc(page);
    if (type === PAGE.DATA) return this.#readV1(page, header.struct(5, 'DataPageHeader'));
    if (type === PAGE.DATA_V2) return this.#readV2(page, header.struct(8, 'DataPageHeaderV2'));
    if (type === PAGE.DICTIONARY) this.#readDictionary(page);
    return undefined;
  }

  /** Nothing that it has decoded is needed any more. */
  close(): void {
    this.#release(this.#pageBytes);
    this.#release(this.#dictionaryBytes);
    this.#pageBytes = this.#dictionaryBytes = undefined;
  }

  #decompress(body: Uint8Array, sizeBytes: number): Uint8Array {
    this.#release(this.#pageBytes);
    this.#pageBytes = decompressPage(this.#chunk.codec, body, sizeBytes);
    return this.#pageBytes;
  }

  /**
   * Gives memory that was decompressed into back at once. The garbage collector, which would find it by and by, is
   * driven by it, and took a tenth of the time.
   */
  #release(bytes: Uint8Array | undefined): void {
    if (bytes === undefined || this.#chunk.codec === CODEC.UNCOMPRESSED) return;
    const { buffer } = bytes;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length && !buffer.detached) buffer.transfer(0);
  }

  #readDictionary({ header, body, sizeBytes }: RawPage): void {
    const count = header.struct(7, 'DictionaryPageHeader')?.size(1) ?? 0;
    const bytes = decompressPage(this.#chunk.codec, body, sizeBytes);
    this.#dictionaryBytes = bytes;
    // It outlives the pages, so it has memory of its own.
    this.#dictionary = this.#values(ENCODING.PLAIN, bytes, 0, count, pageMemory());
  }

  #readV1({ body, sizeBytes }: RawPage, data: ThriftStruct | undefined): Page {
    if (data === undefined) throw corrupt('a data page has no header of its own');
    const count = this.#count(data.size(1));
    const bytes = this.#decompress(body, sizeBytes);
    let at = 0;
    const levels = (name: 'repetition' | 'definition', encoding: number): Levels => {
      const max = this.#leaf[name];
      if (max === 0) return NO_LEVELS(count);
      if (encoding === ENCODING.BIT_PACKED) {
        const out = bytesOf(this.#memory, name, count).subarray(0, count);
        at = readBitPacked(bytes, at, bitWidth(max), count, out);
        return checkedLevels(out, max);
      }
      if (encoding !== ENCODING.RLE) throw corrupt(`levels of encoding ${encoding}`);
      if (at + 4 > bytes.length) throw corrupt('a data page is cut short');
      const length = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
      at += 4;
      if (length > bytes.length - at) throw corrupt('the levels of a data page are cut short');
      at += length;
      return this.#levels(name, bytes, at - length, at, count);
    };
    const repetition = levels('repetition', data.number(4));
    const definition = levels('definition', data.number(3));
    return this.#page(count, repetition, definition, data.number(2), bytes, at, false);
  }

  #readV2({ body, sizeBytes }: RawPage, data: ThriftStruct | undefined): Page {
    if (data === undefined) throw corrupt('a data page has no header of its own');
    const count = this.#count(data.size(1));
    const definitionBytes = data.size(5);
    const repetitionBytes = data.size(6);
    const levelBytes = definitionBytes + repetitionBytes;
    if (levelBytes > body.length || levelBytes > sizeBytes) throw corrupt('the levels of a data page are cut short');
    const repetition = this.#levels('repetition', body, 0, repetitionBytes, count);
    const definition = this.#levels('definition', body, repetitionBytes, levelBytes, count);
    const values = body.subarray(levelBytes);
    // A page of nulls only has nothing that could have been compressed.
    const compressed = data.bool(7, true) && values.length > 0;
    const bytes = compressed ? this.#decompress(values, sizeBytes - levelBytes) : values;
    return this.#page(count, repetition, definition, data.number(4), bytes, 0, true);
  }

  #page(
    count: number,
    repetition: Levels,
    definition: Levels,
    encoding: number,
    bytes: Uint8Array,
    at: number,
    endsRow: boolean,
  ): Page {
    const raw = this.#values(encoding, bytes, at, definition.greatest, this.#memory);
    return {
      count,
      definition: definition.greatest === count ? undefined : definition.levels,
      repetition: repetition.levels,
      raw,
      endsRow,
    };
  }

  #values(encoding: number, bytes: Uint8Array, at: number, count: number, memory: PageMemory): RawValues {
    const { element, type } = this.#leaf;
    const format = { physical: this.#chunk.physical, typeLength: element.typeLength ?? 0 };
    const raw = readValues(format, encoding, bytes, at, count, this.#dictionary, this.#limits.maxPageBytes, memory);
    // What comes from the dictionary has been looked at there.
    if (type.kind === 'string' && raw.kind === 'bytes' && raw.entries === undefined) checkText(raw);
    return raw;
  }

  #levels(name: 'repetition' | 'definition', bytes: Uint8Array, from: number, to: number, count: number): Levels {
    const max = this.#leaf[name];
    if (max === 0) return NO_LEVELS(count);
    const width = bitWidth(max);
    const only = onlyRun(bytes, from, to, width, count);
    if (name === 'definition' && only === max) return { levels: undefined, greatest: count };
    if (name === 'repetition' && only === 0) return { levels: undefined, greatest: 0 };
    const out = bytesOf(this.#memory, name, count).subarray(0, count);
    readHybrid(bytes, from, to, width, count, out);
    return checkedLevels(out, max);
  }

  #count(count: number): number {
    // A place for each is made before they are read, four bytes at the least.
    if (count > this.#chunk.valueCount || count * 4 > this.#limits.maxPageBytes)
      throw corrupt(`a page of ${count} values in a column chunk of ${this.#chunk.valueCount}`);
    return count;
  }
}

interface Levels {
  levels: Uint8Array | undefined;
  /** How many are the greatest. */
  greatest: number;
}

const NO_LEVELS = (count: number): Levels => ({ levels: undefined, greatest: count });

function checkedLevels(levels: Uint8Array, max: number): Levels {
  let greatest = 0;
  let beyond = 0;
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i]!;
    if (level === max) greatest++;
    else if (level > max) beyond = level;
  }
  if (beyond > 0) throw corrupt(`a level of ${beyond} where ${max} is the most`);
  return { levels, greatest };
}

/** The CRC32 of a page is that of its body as it is stored (parquet.thrift, PageHeader.crc). */
function checkCrc({ header, body }: RawPage): void {
  const stated = header.optionalNumber(4);
  if (stated !== undefined && (stated | 0) !== (crc32(body) | 0)) throw corrupt('the checksum of a page is wrong');
}

/** Strings are UTF-8, each of them. */
function checkText({ source, starts, lengths, count }: RawBytes): void {
  if (count === 0) return;
  // Lengths in between are ASCII too, as long as no string has 128 bytes.
  const low = starts[0]!;
  const high = starts[count - 1]! + lengths[count - 1]!;
  if (isAscii(source.subarray(low, high))) return;
  // All in one: valid as a whole, and none begins within a character.
  const text = new Uint8Array(high - low);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const length = lengths[i]!;
    if (length === 0) continue;
    const start = starts[i]!;
    if ((source[start]! & 0xc0) === 0x80) throw corrupt('a string is no UTF-8');
    if (length > 32) text.set(source.subarray(start, start + length), at);
    else for (let n = 0; n < length; n++) text[at + n] = source[start + n]!;
    at += length;
  }
  if (!isUtf8(text.subarray(0, at))) throw corrupt('a string is no UTF-8');
}
