import type { Vector } from '@millrace/columns';
import { type ColumnType, type Field, isPrimitive, type PrimitiveType } from '@millrace/schema';
import type { FileNode, LeafNode } from './file-schema.ts';
import type { LeafRows } from './leaf-rows.ts';
import { matchField, nullVector, promote } from './promote.ts';
import type { Entries, RawBytes, RawWords } from './raw-values.ts';
import { vectorOfRaw } from './raw-vector.ts';

/** Rows of one leaf in the form that a writer takes as they are: levels, and the values alone. */
export interface LeafColumn {
  type: PrimitiveType;
  maxDefinition: number;
  maxRepetition: number;
  /** Levels. */
  count: number;
  /** Undefined: every level is the greatest. */
  definition: Uint8Array | undefined;
  /** Undefined: every level is 0. */
  repetition: Uint8Array | undefined;
  /** No slot for a null. */
  values: Vector;
  entries: Entries | undefined;
}

/** A leaf of a wanted schema: where it comes from; no node = the file lacks it, and it is null throughout. */
export interface LeafPlan {
  node: LeafNode | undefined;
  type: PrimitiveType;
  maxDefinition: number;
  maxRepetition: number;
}

/**
 * How the leaves of a schema come from those of a file with no change to any level, in the order in which a file of that
 * schema has them. Undefined when that can't be: a struct has other fields, or something is optional in only one of both.
 */
export function planLeaves(nodes: FileNode[], fields: Field[]): LeafPlan[] | undefined {
  const plans: LeafPlan[] = [];

  const visit = (node: FileNode, type: ColumnType, required: boolean): boolean => {
    if (node.required !== required) return false;
    const { definition, repetition } = node;
    if (node.kind === 'leaf') {
      if (!isPrimitive(type)) return false;
      plans.push({ node, type, maxDefinition: definition, maxRepetition: repetition });
      return true;
    }
    if (node.kind === 'struct') {
      if (type.kind !== 'struct' || type.fields.length === 0) return false;
      return type.fields.every((field) => {
        const child = matchField(node.fields, field);
        return child !== undefined && visit(child, field.type, field.required);
      });
    }
    if (node.kind === 'list') return type.kind === 'list' && visit(node.element, type.element, type.elementRequired);
    return type.kind === 'map' && visit(node.key, type.key, true) && visit(node.value, type.value, type.valueRequired);
  };

  for (const field of fields) {
    const node = matchField(nodes, field);
    if (node !== undefined) {
      if (!visit(node, field.type, field.required)) return undefined;
    } else if (field.required) return undefined;
    else planMissing(field.type, 1, 0, plans);
  }
  return plans;
}

function planMissing(type: ColumnType, definition: number, repetition: number, plans: LeafPlan[]): void {
  const below = (child: ColumnType, required: boolean, repeats: number) =>
    planMissing(child, definition + repeats + (required ? 0 : 1), repetition + repeats, plans);
  switch (type.kind) {
    case 'struct':
      for (const field of type.fields) below(field.type, field.required, 0);
      break;
    case 'list':
      below(type.element, type.elementRequired, 1);
      break;
    case 'map':
      below(type.key, true, 1);
      below(type.value, type.valueRequired, 1);
      break;
    default:
      plans.push({ node: undefined, type, maxDefinition: definition, maxRepetition: repetition });
  }
}

/** The leaves of some rows by plan. */
export function leafColumns(plans: LeafPlan[], rows: Map<LeafNode, LeafRows>, rowCount: number): LeafColumn[] {
  return plans.map(({ node, type, maxDefinition, maxRepetition }) => {
    const shape = { type, maxDefinition, maxRepetition };
    if (node === undefined) {
      const definition = new Uint8Array(rowCount);
      const values = nullVector(type, 0);
      return { ...shape, count: rowCount, definition, repetition: undefined, values, entries: undefined };
    }
    const { count, definition, repetition, raw } = rows.get(node)!;
    const values = vectorOfRaw(node, raw, raw.count, 0, undefined);
    const promoted = promote(values, node.type, type, node.name);
    const entries = raw.kind !== 'boolean' && isThat(promoted, raw) ? raw.entries : undefined;
    return { ...shape, count, definition, repetition, values: promoted, entries };
  });
}

/** Whether the vector holds the values as they were read: converted ones are no longer the dictionary's. */
const isThat = (vector: Vector, raw: RawWords | RawBytes): boolean =>
  raw.kind === 'bytes'
    ? vector.kind === 'bytes' && vector.starts === raw.starts
    : 'values' in vector && vector.values.buffer === raw.words.buffer;
