import type { Vector } from '@millrace/columns';
import { corrupt } from './corrupt.ts';
import { type FileNode, type LeafNode, type ListNode, leavesOf, type MapNode, type StructNode } from './file-schema.ts';
import type { LeafRows } from './leaf-rows.ts';
import { vectorOfRaw } from './raw-vector.ts';

/** The list or map around a node: its slots are the levels that repeat at most so and are defined at least so. */
interface Enclosing {
  repetition: number;
  definition: number;
}

/** Builds the vector of a node from the levels of the leaves under it (Dremel's record assembly, a column at a time). */
export function assemble(node: FileNode, rows: Map<LeafNode, LeafRows>, length: number): Vector {
  const vector = build(node, rows, { repetition: 0, definition: 0 });
  if (vector.length !== length) throw corrupt(`column "${node.name}" has ${vector.length} rows, not ${length}`);
  return vector;
}

function build(node: FileNode, rows: Map<LeafNode, LeafRows>, around: Enclosing): Vector {
  switch (node.kind) {
    case 'leaf': {
      const leaf = rows.get(node)!;
      const { length, nullCount, validity } = slotsOf(leaf, around, node.definition);
      return vectorOfRaw(node, leaf.raw, length, nullCount, validity);
    }
    case 'struct':
      return buildStruct(node, rows, around);
    case 'list':
    case 'map':
      return buildRepeated(node, rows, around);
  }
}

function buildStruct(node: StructNode, rows: Map<LeafNode, LeafRows>, around: Enclosing): Vector {
  const slots = slotsOf(firstLeaf(node, rows), around, node.definition);
  const fields = node.fields.map((field) => sameLength(field, build(field, rows, around), slots.length));
  return { kind: 'struct', ...slots, fields };
}

function buildRepeated(node: ListNode | MapNode, rows: Map<LeafNode, LeafRows>, around: Enclosing): Vector {
  const leaf = firstLeaf(node, rows);
  const slots = slotsOf(leaf, around, node.definition);
  const inner = { repetition: node.repetition + 1, definition: node.definition + 1 };
  const offsets = offsetsOf(leaf, around, inner, slots.length);
  const count = offsets[slots.length]!;
  const child = (below: FileNode) => sameLength(below, build(below, rows, inner), count);
  if (node.kind === 'list') return { kind: 'list', ...slots, offsets, element: child(node.element) };
  return { kind: 'map', ...slots, offsets, key: child(node.key), value: child(node.value) };
}

const firstLeaf = (node: FileNode, rows: Map<LeafNode, LeafRows>): LeafRows => rows.get(leavesOf(node)[0]!)!;

function sameLength(node: FileNode, vector: Vector, length: number): Vector {
  if (vector.length !== length) throw corrupt(`the levels of column "${node.name}" don't agree with its neighbours'`);
  return vector;
}

function slotsOf(
  { count, definition, repetition }: LeafRows,
  around: Enclosing,
  present: number,
): { length: number; nullCount: number; validity: Uint8Array | undefined } {
  if (definition === undefined && repetition === undefined) return { length: count, nullCount: 0, validity: undefined };
  if (repetition === undefined && around.definition === 0) return flatSlots(definition!, present);
  const validity = new Uint8Array((count + 7) >> 3);
  let length = 0;
  let nullCount = 0;
  for (let i = 0; i < count; i++) {
    if (repetition !== undefined && repetition[i]! > around.repetition) continue;
    const level = definition === undefined ? 255 : definition[i]!;
    if (level < around.definition) continue;
    if (level >= present) validity[length >> 3]! |= 1 << (length & 7);
    else nullCount++;
    length++;
  }
  return { length, nullCount, validity: nullCount === 0 ? undefined : validity };
}

/** Of a column outside of lists: a slot a level. */
function flatSlots(
  definition: Uint8Array,
  present: number,
): { length: number; nullCount: number; validity: Uint8Array | undefined } {
  const { length } = definition;
  const validity = new Uint8Array((length + 7) >> 3);
  let valid = 0;
  for (let i = 0; i < length; i++) {
    const bit = definition[i]! >= present ? 1 : 0;
    valid += bit;
    validity[i >> 3]! |= bit << (i & 7);
  }
  return { length, nullCount: length - valid, validity: valid === length ? undefined : validity };
}

function offsetsOf(
  { count, definition, repetition }: LeafRows,
  around: Enclosing,
  inner: Enclosing,
  length: number,
): Int32Array {
  const offsets = new Int32Array(length + 1);
  let slot = 0;
  let elements = 0;
  for (let i = 0; i < count; i++) {
    const repeats = repetition === undefined ? 0 : repetition[i]!;
    const level = definition === undefined ? 255 : definition[i]!;
    if (repeats <= around.repetition && level >= around.definition) offsets[slot++] = elements;
    if (repeats <= inner.repetition && level >= inner.definition) elements++;
  }
  offsets[length] = elements;
  return offsets;
}
