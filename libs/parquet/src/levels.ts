import type { Vector } from '@millrace/columns';
import type { ByteBuffer } from './byte-buffer.ts';
import { bitWidth, writeLevels, writeRun } from './hybrid-writer.ts';
import type { Leaf } from './leaf.ts';

/**
 * A leaf of one batch: its vector, and the path to it cut at each list or map. Within a segment every vector has the
 * same slots, so a slot's definition level is `full` less the optional vectors of the segment that are null there.
 */
export interface LeafBatch {
  vector: Vector;
  segments: Segment[];
}

interface Segment {
  validities: Uint8Array[];
  full: number;
  /** Of the list or map that ends the segment; undefined in the last. */
  offsets: Int32Array | undefined;
}

/** Finds a leaf's vector in the columns of a batch. */
export function resolveLeaf(leaf: Leaf, columns: Vector[]): LeafBatch {
  let segment: Segment = { validities: [], full: 0, offsets: undefined };
  const segments = [segment];
  let vector: Vector | undefined;
  for (const step of leaf.steps) {
    if (step.into === 'field')
      vector = vector === undefined ? columns[step.index]! : (vector as { fields: Vector[] }).fields[step.index]!;
    else {
      const list = vector as Extract<Vector, { kind: 'list' | 'map' }>;
      segment.offsets = list.offsets;
      vector = list.kind === 'list' ? list.element : step.into === 'key' ? list.key : list.value;
      segment = { validities: [], full: segment.full + 1, offsets: undefined };
      segments.push(segment);
    }
    if (step.optional) {
      segment.full++;
      if (vector!.validity !== undefined && vector!.nullCount > 0) segment.validities.push(vector!.validity);
    }
  }
  return { vector: vector!, segments };
}

/** The leaf's slot at which this row begins. */
export function slotOf(batch: LeafBatch, row: number): number {
  let slot = row;
  for (const { offsets } of batch.segments) if (offsets !== undefined) slot = offsets[slot]!;
  return slot;
}

/** Levels, a byte each: the arrays grow. */
export interface LevelBytes {
  definition: Uint8Array;
  repetition: Uint8Array;
}

export const levelBytes = (): LevelBytes => ({ definition: new Uint8Array(0), repetition: new Uint8Array(0) });

/** Definition and repetition levels of one page, a byte each; a page whose levels are all alike keeps only their count. */
export class PageLevels {
  count = 0;
  #uniform = -1;
  readonly #leaf: Leaf;
  readonly #bytes: LevelBytes;

  constructor(leaf: Leaf, bytes: LevelBytes) {
    this.#leaf = leaf;
    this.#bytes = bytes;
  }

  /** Adds the levels of rows [from, to). */
  append(batch: LeafBatch, from: number, to: number): void {
    const [{ validities, full }] = batch.segments as [Segment];
    if (this.#leaf.maxRepetition > 0) this.#appendNested(batch.segments, from, to);
    else if (this.#leaf.maxDefinition === 0) this.count += to - from;
    else if (validities.length === 0) this.#appendRun(full, to - from);
    // The only validity is then the leaf's own.
    else if (validities.length === 1 && batch.vector.nullCount === batch.vector.length)
      this.#appendRun(full - 1, to - from);
    else {
      this.#reserve(to - from);
      this.#spread();
      flatLevels(validities, full, from, to, this.#bytes.definition, this.count);
      this.count += to - from;
    }
  }

  /** Adds levels [from, to) as they were read: no definition levels = all are the greatest, no repetition levels = all are 0. */
  appendLevels(definition: Uint8Array | undefined, repetition: Uint8Array | undefined, from: number, to: number): void {
    const { maxDefinition, maxRepetition } = this.#leaf;
    if (maxDefinition === 0) this.count += to - from;
    else if (maxRepetition === 0 && definition === undefined) this.#appendRun(maxDefinition, to - from);
    else {
      this.#reserve(to - from);
      this.#spread();
      const end = this.count + to - from;
      if (definition === undefined) this.#bytes.definition.fill(maxDefinition, this.count, end);
      else this.#bytes.definition.set(definition.subarray(from, to), this.count);
      if (repetition !== undefined) this.#bytes.repetition.set(repetition.subarray(from, to), this.count);
      else if (maxRepetition > 0) this.#bytes.repetition.fill(0, this.count, end);
      this.count = end;
    }
  }

  /** Writes both levels as a V1 data page has them, each with its length in four bytes, and begins a new page. */
  write(out: ByteBuffer): void {
    if (this.#leaf.maxRepetition > 0) withLength(out, () => this.#writeRepetition(out));
    if (this.#leaf.maxDefinition > 0) withLength(out, () => this.#writeDefinition(out));
    this.#clear();
  }

  /** Writes both as a V2 data page has them, without lengths; answers with how many bytes the repetition levels took. */
  writeV2(out: ByteBuffer): number {
    const begin = out.length;
    if (this.#leaf.maxRepetition > 0) this.#writeRepetition(out);
    const repetitionBytes = out.length - begin;
    if (this.#leaf.maxDefinition > 0) this.#writeDefinition(out);
    this.#clear();
    return repetitionBytes;
  }

  #writeRepetition(out: ByteBuffer): void {
    writeLevels(this.#bytes.repetition, this.count, bitWidth(this.#leaf.maxRepetition), out);
  }

  #writeDefinition(out: ByteBuffer): void {
    const width = bitWidth(this.#leaf.maxDefinition);
    if (this.#uniform >= 0) writeRun(this.#uniform, this.count, width, out);
    else writeLevels(this.#bytes.definition, this.count, width, out);
  }

  #clear(): void {
    this.count = 0;
    this.#uniform = -1;
  }

  #appendRun(level: number, count: number): void {
    if (this.count === 0) this.#uniform = level;
    if (this.#uniform !== level) {
      this.#reserve(count);
      this.#spread();
      this.#bytes.definition.fill(level, this.count, this.count + count);
    }
    this.count += count;
  }

  #appendNested(segments: Segment[], from: number, to: number): void {
    let most = to - from;
    let low = from;
    let high = to;
    for (const { offsets } of segments) {
      if (offsets === undefined) break;
      low = offsets[low]!;
      high = offsets[high]!;
      most += high - low;
    }
    this.#reserve(most);
    this.count = nestedLevels(segments, 0, from, to, 0, this.#bytes.definition, this.#bytes.repetition, this.count);
  }

  /** Turns "all alike" into levels that are there. */
  #spread(): void {
    if (this.#uniform >= 0) this.#bytes.definition.fill(this.#uniform, 0, this.count);
    this.#uniform = -1;
  }

  #reserve(more: number): void {
    const needed = this.count + more;
    if (needed > this.#bytes.definition.length) {
      const definition = new Uint8Array(Math.max(needed, this.#bytes.definition.length * 2));
      // What a uniform page has not spread yet is garbage here, and overwritten by #spread.
      definition.set(this.#bytes.definition.subarray(0, Math.min(this.count, this.#bytes.definition.length)));
      this.#bytes.definition = definition;
    }
    if (this.#leaf.maxRepetition > 0 && this.#bytes.definition.length > this.#bytes.repetition.length) {
      const repetition = new Uint8Array(this.#bytes.definition.length);
      repetition.set(this.#bytes.repetition);
      this.#bytes.repetition = repetition;
    }
  }
}

function withLength(out: ByteBuffer, write: () => void): void {
  out.reserve(4);
  const at = out.length;
  out.length += 4;
  write();
  out.view.setUint32(at, out.length - at - 4, true);
}

function flatLevels(
  validities: Uint8Array[],
  full: number,
  from: number,
  to: number,
  levels: Uint8Array,
  at: number,
): void {
  const [first] = validities as [Uint8Array];
  const base = full - validities.length;
  for (let i = from, k = at; i < to; i++, k++) levels[k] = base + ((first[i >> 3]! >> (i & 7)) & 1);
  for (let n = 1; n < validities.length; n++) {
    const validity = validities[n]!;
    for (let i = from, k = at; i < to; i++, k++) levels[k]! += (validity[i >> 3]! >> (i & 7)) & 1;
  }
}

/**
 * Writes the levels of slots [from, to) of a segment and of all below it; the first of them repeats at `repetition`
 * (Dremel's record shredding). Returns the position after them.
 */
function nestedLevels(
  segments: Segment[],
  depth: number,
  from: number,
  to: number,
  repetition: number,
  definitions: Uint8Array,
  repetitions: Uint8Array,
  at: number,
): number {
  const { validities, full, offsets } = segments[depth]!;
  if (offsets === undefined) {
    const end = (at + to - from) | 0;
    // Few at a time: a call of fill() costs more than they do.
    for (let k = at | 0; k < end; k = (k + 1) | 0) {
      repetitions[k] = depth;
      definitions[k] = full;
    }
    if (from < to) repetitions[at] = repetition;
    if (validities.length > 0) flatLevels(validities, full, from, to, definitions, at);
    return at + to - from;
  }
  const inner = segments[depth + 1]!;
  if (inner.offsets === undefined && inner.validities.length === 0)
    return listLevels(segments[depth]!, inner.full, depth, from, to, repetition, definitions, repetitions, at);
  for (let i = from; i < to; i++) {
    // A null list has no elements.
    if (offsets[i] === offsets[i + 1]) {
      definitions[at] = definitionAt(validities, full, i);
      repetitions[at++] = repetition;
    } else
      at = nestedLevels(segments, depth + 1, offsets[i]!, offsets[i + 1]!, repetition, definitions, repetitions, at);
    repetition = depth;
  }
  return at;
}

/** The same for lists whose elements are all there: at first all levels are elements', then each list's first is set right. */
function listLevels(
  list: Segment,
  elementDefinition: number,
  depth: number,
  from: number,
  to: number,
  repetition: number,
  definitions: Uint8Array,
  repetitions: Uint8Array,
  at: number,
): number {
  const offsets = list.offsets!;
  const most = at + offsets[to]! - offsets[from]! + to - from;
  const element = elementDefinition | 0;
  const again = (depth + 1) | 0;
  for (let k = at | 0; k < most; k = (k + 1) | 0) {
    definitions[k] = element;
    repetitions[k] = again;
  }
  let begin = offsets[from]!;
  for (let i = from; i < to; i++) {
    const end = offsets[i + 1]!;
    repetitions[at] = i === from ? repetition : depth;
    if (begin === end) definitions[at++] = definitionAt(list.validities, list.full, i);
    else at += end - begin;
    begin = end;
  }
  return at;
}

function definitionAt(validities: Uint8Array[], full: number, slot: number): number {
  let definition = full;
  for (let n = 0; n < validities.length; n++) definition -= 1 - ((validities[n]![slot >> 3]! >> (slot & 7)) & 1);
  return definition;
}
