import { corrupt } from './corrupt.ts';
import { bytesOf, type PageMemory, wordsOf } from './page-memory.ts';
import type { Page } from './page-reader.ts';
import { type Entries, type RawBytes, type RawValues, slice } from './raw-values.ts';

/** Rows of one leaf: levels and values. Valid until the next rows are read. */
export interface LeafRows {
  /** Levels. */
  count: number;
  /** Undefined: every level is the greatest. */
  definition: Uint8Array | undefined;
  /** Undefined: every level is 0. */
  repetition: Uint8Array | undefined;
  raw: RawValues;
}

/** A part of a page: levels [from, to) and the values that belong to them. */
export interface Piece {
  page: Page;
  from: number;
  to: number;
  fromValue: number;
  toValue: number;
}

/** Rows of one leaf from pieces of pages: views of the page when there is but one piece, else gathered in the memory. */
export class LeafRowsBuilder {
  readonly #memory: PageMemory;
  readonly #maxDefinition: number;
  #pending: Piece | undefined;
  #gathered = false;
  #count = 0;
  #definition = false;
  #repetition = false;
  #raw: RawValues;
  readonly #none: RawValues;
  #dictionary: Entries['dictionary'] | undefined;
  /** The dictionary that holds the strings, as long as there is no other buffer. */
  #first: Uint8Array | undefined;
  #sourceLength = 0;
  /** How far the places in a buffer have moved, in the memory's `source`. */
  readonly #places = new Map<Uint8Array, number>();

  /** `none`: no values, in the leaf's form. */
  constructor(memory: PageMemory, maxDefinition: number, none: RawValues) {
    this.#memory = memory;
    this.#maxDefinition = maxDefinition;
    this.#none = none;
    this.#raw = none;
  }

  add(piece: Piece): void {
    const last = this.#pending;
    if (last !== undefined && last.page === piece.page && last.to === piece.from) {
      last.to = piece.to;
      last.toValue = piece.toValue;
      return;
    }
    if (piece.from === piece.to) return;
    this.flush();
    this.#pending = piece;
  }

  /** Before the page that the last piece came from makes way for another. */
  flush(): void {
    const piece = this.#pending;
    if (piece === undefined) return;
    this.#pending = undefined;
    this.#gather(piece);
  }

  /** The rows since the last time. */
  finish(): LeafRows {
    const piece = this.#pending;
    this.#pending = undefined;
    let rows: LeafRows;
    if (!this.#gathered) {
      rows =
        piece === undefined
          ? { count: 0, definition: undefined, repetition: undefined, raw: this.#none }
          : viewOf(piece);
    } else {
      if (piece !== undefined) this.#gather(piece);
      const count = this.#count;
      rows = {
        count,
        definition: this.#definition ? this.#memory.definition.subarray(0, count) : undefined,
        repetition: this.#repetition ? this.#memory.repetition.subarray(0, count) : undefined,
        raw: this.#raw,
      };
    }
    this.#gathered = this.#definition = this.#repetition = false;
    this.#count = this.#sourceLength = 0;
    this.#raw = this.#none;
    this.#dictionary = undefined;
    this.#first = undefined;
    this.#places.clear();
    return rows;
  }

  #gather({ page, from, to, fromValue, toValue }: Piece): void {
    const { definition, repetition } = page;
    const before = this.#count;
    const count = before + to - from;
    if (definition !== undefined || this.#definition) {
      const levels = bytesOf(this.#memory, 'definition', count, before);
      if (!this.#definition) levels.fill(this.#maxDefinition, 0, before);
      this.#definition = true;
      if (definition === undefined) levels.fill(this.#maxDefinition, before, count);
      else levels.set(definition.subarray(from, to), before);
    }
    if (repetition !== undefined || this.#repetition) {
      const levels = bytesOf(this.#memory, 'repetition', count, before);
      if (!this.#repetition) levels.fill(0, 0, before);
      this.#repetition = true;
      if (repetition === undefined) levels.fill(0, before, count);
      else levels.set(repetition.subarray(from, to), before);
    }
    const raw = slice(page.raw, fromValue, toValue);
    if (raw.count > 0 || !this.#gathered) this.#raw = this.#append(this.#raw, raw);
    this.#count = count;
    this.#gathered = true;
  }

  #append(held: RawValues, more: RawValues): RawValues {
    const before = held.count;
    const count = before + more.count;
    if (more.kind === 'boolean') {
      const values = bytesOf(this.#memory, 'flags', count, before);
      values.set(more.values, before);
      return { kind: 'boolean', count, values: values.subarray(0, count) };
    }
    const entries = this.#entries(before, count, more.entries);
    if (more.kind === 'words') {
      const { width } = more;
      const words = wordsOf(this.#memory, 'words', count * width, before * width);
      words.set(more.words.subarray(0, more.count * width), before * width);
      return { kind: 'words', count, width, words: words.subarray(0, count * width), entries };
    }
    const { source, shift } = this.#sourceOf(more);
    const starts = wordsOf(this.#memory, 'starts', count, before);
    const lengths = wordsOf(this.#memory, 'lengths', count, before);
    for (let i = 0; i < more.count; i++) {
      starts[before + i] = more.starts[i]! + shift;
      lengths[before + i] = more.lengths[i]!;
    }
    return {
      kind: 'bytes',
      count,
      source,
      starts: starts.subarray(0, count),
      lengths: lengths.subarray(0, count),
      entries,
    };
  }

  /** Entries stay where all values come from one dictionary. */
  #entries(before: number, count: number, more: Entries | undefined): Entries | undefined {
    if (before === 0) this.#dictionary = more?.dictionary;
    if (more === undefined || more.dictionary !== this.#dictionary) {
      this.#dictionary = undefined;
      return undefined;
    }
    const indices = wordsOf(this.#memory, 'indices', count, before);
    indices.set(more.indices, before);
    return { dictionary: more.dictionary, indices: indices.subarray(0, count) };
  }

  /** The buffer that all strings so far lie in, and how far the places of these move there. */
  #sourceOf(more: RawBytes): { source: Uint8Array; shift: number } {
    const { source, count, starts, lengths, entries } = more;
    // A dictionary stays where it is, as long as it is the only buffer.
    if (entries !== undefined && this.#sourceLength === 0 && (this.#first ?? source) === source) {
      this.#first = source;
      return { source, shift: 0 };
    }
    if (this.#sourceLength === 0 && this.#first !== undefined) {
      this.#keep(this.#first);
      this.#places.set(this.#first, 0);
    }
    let shift = this.#places.get(source);
    if (shift === undefined && count > 0) {
      // Of a page, which goes, only the bytes that are wanted: they follow each other there.
      const low = entries === undefined ? starts[0]! : 0;
      const high = entries === undefined ? starts[count - 1]! + lengths[count - 1]! : source.length;
      shift = this.#sourceLength - low;
      if (entries !== undefined) this.#places.set(source, shift);
      this.#keep(source.subarray(low, high));
    }
    return { source: this.#memory.source, shift: shift ?? 0 };
  }

  #keep(bytes: Uint8Array): void {
    const length = this.#sourceLength + bytes.length;
    if (length > 2 ** 31 - 1) throw corrupt('strings of more than 2 GB in one batch');
    bytesOf(this.#memory, 'source', length, this.#sourceLength).set(bytes, this.#sourceLength);
    this.#sourceLength = length;
  }
}

const viewOf = ({ page, from, to, fromValue, toValue }: Piece): LeafRows => ({
  count: to - from,
  definition: page.definition?.subarray(from, to),
  repetition: page.repetition?.subarray(from, to),
  raw: slice(page.raw, fromValue, toValue),
});
