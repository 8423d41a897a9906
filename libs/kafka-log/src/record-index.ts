import { type Arena, clear, createArena } from './arena.ts';
import { decompressInto } from './compression.ts';
import { type LogPlace, logError } from './place.ts';
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  checkBatchCrc,
  DEFAULT_MAX_BATCH_BYTES,
  readBatchHeader,
} from './record-batch.ts';
import { createVarints, shortVarint, shortVarintBytes, unzigzag } from './varint.ts';

/** A batch whose records are in an index, with where it came from. */
export interface IndexedBatch extends BatchHeader {
  segment: string;
  startByte: number;
}

/** Records of a producer that were aborted: its transactional batches in [firstOffset, lastOffset] are left out. */
export interface AbortedRange {
  producerId: number;
  firstOffset: number;
  lastOffset: number;
}

export interface RecordFilter {
  /** Records before it, and from `endOffset` on, are left out. */
  startOffset: number;
  endOffset: number;
  aborted: readonly AbortedRange[];
}

/**
 * Where records lie, one slot a record, no object: bytes [keyStarts[i], + keyLengths[i]) of `bytes`, and so on. A length
 * of -1 is null. Headers start at headerStarts[i] in the wire form, headerCounts[i] of them (readHeaders reads them).
 * Arrays are longer than `count`. Valid until the next `clear`; `bytes` and the arrays are replaced when they grow, so
 * read them from the index after the last `add`.
 */
export interface RecordIndex {
  readonly count: number;
  readonly bytes: Uint8Array;
  /** Bytes in use of `bytes`. */
  readonly byteLength: number;
  readonly offsets: Float64Array;
  /** Milliseconds since the epoch; -1 = none. The append time where the batch has that type. */
  readonly timestampsMs: Float64Array;
  readonly keyStarts: Int32Array;
  readonly keyLengths: Int32Array;
  readonly valueStarts: Int32Array;
  readonly valueLengths: Int32Array;
  readonly headerStarts: Int32Array;
  readonly headerCounts: Int32Array;
  /** Index into `batches`. */
  readonly batchNumbers: Int32Array;
  readonly batches: readonly IndexedBatch[];
  /**
   * Adds the records of the batch at `position` of `bytes`: CRC checked, decompressed, walked. Control batches and what
   * the filter leaves out add nothing. Returns the batch's header. On an error (batch-truncated, batch-crc-mismatch,
   * batch-header-invalid, batch-magic-unsupported, batch-undecompressable, record-malformed) the index is as before.
   */
  add(bytes: Uint8Array, position: number, place: LogPlace): BatchHeader;
  /** Forgets all records and keeps the memory that records of their size need. */
  clear(): void;
}

export interface RecordIndexOptions {
  filter?: RecordFilter;
  /** The most that a batch may have, compressed and again decompressed. */
  maxBatchBytes?: number;
  /** CRCs have been checked before (scanSegment does). */
  trustCrc?: boolean;
}

// Record (Kafka documentation, "Record"); varint and varlong are zigzag:
//   length varint | attributes i8 | timestampDelta varlong | offsetDelta varint | keyLength varint | key
//   | valueLength varint | value | headers: count varint, { keyLength varint | key | valueLength varint | value }*

/** The fewest bytes that a record has: a count that needs more than the batch holds is refused before memory is taken. */
const MIN_RECORD_BYTES = 7;

export function createRecordIndex(options: RecordIndexOptions = {}): RecordIndex {
  return new Index(options);
}

class Index implements RecordIndex {
  count = 0;
  offsets = new Float64Array(0);
  timestampsMs = new Float64Array(0);
  keyStarts = new Int32Array(0);
  keyLengths = new Int32Array(0);
  valueStarts = new Int32Array(0);
  valueLengths = new Int32Array(0);
  headerStarts = new Int32Array(0);
  headerCounts = new Int32Array(0);
  batchNumbers = new Int32Array(0);
  batches: IndexedBatch[] = [];
  readonly #arena: Arena = createArena();
  readonly #varints = createVarints();
  readonly #filter: RecordFilter;
  readonly #maxBatchBytes: number;
  readonly #trustCrc: boolean;

  constructor(options: RecordIndexOptions) {
    this.#filter = options.filter ?? { startOffset: 0, endOffset: Number.MAX_SAFE_INTEGER, aborted: [] };
    this.#maxBatchBytes = options.maxBatchBytes ?? DEFAULT_MAX_BATCH_BYTES;
    this.#trustCrc = options.trustCrc ?? false;
  }

  get bytes(): Uint8Array {
    return this.#arena.bytes;
  }

  get byteLength(): number {
    return this.#arena.length;
  }

  clear(): void {
    this.count = 0;
    this.batches = [];
    clear(this.#arena);
  }

  add(bytes: Uint8Array, position: number, place: LogPlace): BatchHeader {
    const header = readBatchHeader(bytes, position, place, this.#maxBatchBytes);
    if (!this.#trustCrc) checkBatchCrc(bytes, position, header, place);
    if (header.control || this.#isLeftOut(header)) return header;
    const arenaStart = this.#arena.length;
    const count = this.count;
    try {
      this.#decompress(bytes, position, header, place);
      this.#walk(arenaStart, header, place, position);
    } catch (error) {
      this.#arena.length = arenaStart;
      this.count = count;
      throw error;
    }
    if (this.count === count) this.#arena.length = arenaStart;
    else this.batches.push({ ...header, segment: place.segment, startByte: place.startByte + position });
    return header;
  }

  #isLeftOut(header: BatchHeader): boolean {
    const { startOffset, endOffset, aborted } = this.#filter;
    if (header.lastOffset < startOffset || header.baseOffset >= endOffset) return true;
    return (
      header.transactional &&
      aborted.some(
        (range) =>
          range.producerId === header.producerId &&
          header.baseOffset >= range.firstOffset &&
          header.baseOffset <= range.lastOffset,
      )
    );
  }

  #decompress(bytes: Uint8Array, position: number, header: BatchHeader, place: LogPlace): void {
    const body = bytes.subarray(position + BATCH_HEADER_BYTES, position + header.sizeBytes);
    try {
      decompressInto(header.codec, body, this.#arena, this.#maxBatchBytes);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw logError(
        'batch-undecompressable',
        `a record batch's ${header.codec} data can't be decompressed (${reason}; the configured most is ${this.#maxBatchBytes} bytes)`,
        place,
        position,
        { offset: header.baseOffset, lastOffset: header.lastOffset },
        error,
      );
    }
  }

  /** Indexes the records in the arena from `at` to its end. */
  #walk(at: number, header: BatchHeader, place: LogPlace, position: number): void {
    const bytes = this.#arena.bytes;
    const end = this.#arena.length;
    const varints = this.#varints;
    const { startOffset, endOffset } = this.#filter;
    const broken = (what: string, record: number) =>
      logError('record-malformed', `record ${record} of a record batch ${what}`, place, position, {
        offset: header.baseOffset,
        lastOffset: header.lastOffset,
        record,
      });
    if (header.recordCount * MIN_RECORD_BYTES > end - at) {
      throw broken(`is missing: ${header.recordCount} records can't be in ${end - at} bytes`, 0);
    }
    this.#reserve(this.count + header.recordCount);
    const { offsets, timestampsMs, keyStarts, keyLengths, valueStarts, valueLengths } = this;
    const { headerStarts, headerCounts, batchNumbers } = this;
    const appendTime = header.timestampType === 'log-append-time';
    const batchNumber = this.batches.length;
    let slot = this.count;
    let previous = -1;
    for (let record = 0; record < header.recordCount; record++) {
      // Nearly always all numbers are short and there are no headers: read so first, and believed when the record ends
      // where it says. Behind `end` are bytes that may be read (SLACK_BYTES).
      const lengthBits = shortVarint(bytes, at);
      let p = at + shortVarintBytes(lengthBits);
      let recordEnd = p + (lengthBits >>> 1);
      const timeBits = shortVarint(bytes, ++p);
      const deltaBits = shortVarint(bytes, (p += shortVarintBytes(timeBits)));
      const keyBits = shortVarint(bytes, (p += shortVarintBytes(deltaBits)));
      let keyStart = p + shortVarintBytes(keyBits);
      let keyLength = unzigzag(keyBits);
      p = keyLength > 0 ? Math.min(keyStart + keyLength, end) : keyStart;
      const valueBits = shortVarint(bytes, p);
      let valueStart = p + shortVarintBytes(valueBits);
      let valueLength = unzigzag(valueBits);
      p = valueLength > 0 ? Math.min(valueStart + valueLength, end) : valueStart;
      let headerStart = p + 1;
      let headerCount = 0;
      let timestampDelta = unzigzag(timeBits);
      let delta = deltaBits >>> 1;
      const isShort =
        (lengthBits | timeBits | deltaBits | keyBits | valueBits) >= 0 &&
        ((lengthBits | deltaBits) & 1) === 0 &&
        keyLength >= -1 &&
        valueLength >= -1 &&
        bytes[p] === 0 &&
        headerStart === recordEnd &&
        recordEnd <= end;
      if (!isShort) {
        varints.start(bytes, at, end);
        const length = varints.int();
        recordEnd = varints.at + length;
        if (length < MIN_RECORD_BYTES - 1 || recordEnd > end || varints.broken) {
          throw broken(`has length ${length} where ${end - varints.at} bytes are left`, record);
        }
        varints.at++;
        timestampDelta = varints.long();
        delta = varints.int();
        keyLength = varints.int();
        keyStart = varints.at;
        if (keyLength < -1 || keyLength > recordEnd - keyStart)
          throw broken(`has a key of length ${keyLength}`, record);
        if (keyLength > 0) varints.at += keyLength;
        valueLength = varints.int();
        valueStart = varints.at;
        if (valueLength < -1 || valueLength > recordEnd - valueStart) {
          throw broken(`has a value of length ${valueLength}`, record);
        }
        if (valueLength > 0) varints.at += valueLength;
        headerCount = varints.int();
        headerStart = varints.at;
        if (varints.broken || varints.at > recordEnd) throw broken('reaches over its own length', record);
        if (headerCount < 0 || !skipHeaders(varints, headerCount, recordEnd))
          throw broken('has broken headers', record);
        if (varints.at !== recordEnd) throw broken(`is ${recordEnd - varints.at} bytes shorter than it says`, record);
      }
      if (delta <= previous || header.baseOffset + delta > header.lastOffset) {
        throw broken(`has offset delta ${delta} after ${previous}`, record);
      }
      previous = delta;
      at = recordEnd;
      const offset = header.baseOffset + delta;
      if (offset < startOffset || offset >= endOffset) continue;
      offsets[slot] = offset;
      timestampsMs[slot] = appendTime ? header.maxTimestampMs : header.baseTimestampMs + timestampDelta;
      keyStarts[slot] = keyStart;
      keyLengths[slot] = keyLength;
      valueStarts[slot] = valueStart;
      valueLengths[slot] = valueLength;
      headerStarts[slot] = headerStart;
      headerCounts[slot] = headerCount;
      batchNumbers[slot] = batchNumber;
      slot++;
    }
    if (at !== end) throw broken(`is followed by ${end - at} bytes that belong to no record`, header.recordCount - 1);
    this.count = slot;
  }

  #reserve(count: number): void {
    if (count <= this.offsets.length) return;
    const capacity = Math.max(count, this.offsets.length * 2, 4096);
    const int32 = (old: Int32Array<ArrayBuffer>) => grow(old, new Int32Array(capacity));
    this.offsets = grow(this.offsets, new Float64Array(capacity));
    this.timestampsMs = grow(this.timestampsMs, new Float64Array(capacity));
    this.keyStarts = int32(this.keyStarts);
    this.keyLengths = int32(this.keyLengths);
    this.valueStarts = int32(this.valueStarts);
    this.valueLengths = int32(this.valueLengths);
    this.headerStarts = int32(this.headerStarts);
    this.headerCounts = int32(this.headerCounts);
    this.batchNumbers = int32(this.batchNumbers);
  }
}

function grow<T extends Int32Array | Float64Array>(old: T, fresh: T): T {
  fresh.set(old);
  return fresh;
}

/** Passes over the headers; false when they reach over `end`. */
function skipHeaders(varints: ReturnType<typeof createVarints>, count: number, end: number): boolean {
  for (let i = 0; i < count; i++) {
    const keyLength = varints.int();
    if (keyLength < 0 || keyLength > end - varints.at) return false;
    varints.at += keyLength;
    const valueLength = varints.int();
    if (valueLength < -1 || valueLength > end - varints.at) return false;
    if (valueLength > 0) varints.at += valueLength;
  }
  return varints.at <= end && !varints.broken;
}

export interface RecordHeader {
  key: string;
  value: Uint8Array | null;
}

/** The headers of record `i`; their values are views into the index's bytes. */
export function readHeaders(index: RecordIndex, i: number): RecordHeader[] {
  const varints = createVarints();
  varints.start(index.bytes, index.headerStarts[i]!, index.byteLength);
  return Array.from({ length: index.headerCounts[i]! }, () => {
    const keyLength = varints.int();
    const key = Buffer.from(index.bytes.buffer, index.bytes.byteOffset + varints.at, keyLength).toString('utf8');
    varints.at += keyLength;
    const valueLength = varints.int();
    const start = varints.at;
    if (valueLength > 0) varints.at += valueLength;
    return { key, value: valueLength < 0 ? null : index.bytes.subarray(start, start + valueLength) };
  });
}
