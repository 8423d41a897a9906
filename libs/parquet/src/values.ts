import type { Vector } from '@millrace/columns';
import type { ByteBuffer } from './byte-buffer.ts';
import type { Entries } from './raw-values.ts';

/** What one page of values came to. */
export interface PageValues {
  encoding: number;
  count: number;
  nanCount: number;
  /**
   * The least and the greatest value in PLAIN form (no length before it), NaN left out; undefined when there is none. Valid
   * until the next append.
   */
  min: Uint8Array | undefined;
  max: Uint8Array | undefined;
}

/** How the values of a column are written. */
export interface ValueEncoding {
  /** Whether a dictionary is tried first. */
  dictionary: boolean;
  /** The part of PLAIN that it must stay below with its indices, to be kept. */
  dictionaryShare: number;
  /**
   * Writes a page that is in no dictionary, given in PLAIN form, which holds only until the call returns; answers with the
   * encoding that it took.
   */
  writePlain(plain: Uint8Array, count: number, out: ByteBuffer): number;
}

/** Gathers the values of one column and writes them page by page: in a dictionary while that pays, else as begin() says. */
export interface ValueWriter {
  /** Begins a file's column. */
  begin(encoding: ValueEncoding): void;
  /** Values of the page begun. */
  readonly pageCount: number;
  /** About how many bytes the page begun takes in memory. */
  readonly pageBytes: number;
  /**
   * Takes the slots [from, to) of a vector, nulls left out. `expectedValues`: about how many a whole chunk will have.
   * `entries`: the same slots as entries of the dictionary that they were read from; there are no nulls then.
   */
  append(vector: Vector, from: number, to: number, expectedValues: number, entries?: Entries): void;
  /** Writes the page begun and begins the next. */
  writePage(out: ByteBuffer, expectedValues: number): PageValues;
  /** Bytes of all its arrays, used or not. */
  readonly capacityBytes: number;
  /** Bytes of the dictionary so far. */
  readonly dictionaryBytes: number;
  /** Ends the chunk: its dictionary in PLAIN, if a page used one. */
  endChunk(): { count: number; bytes: Uint8Array } | undefined;
}
