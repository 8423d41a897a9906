import type { ColumnType, Field, MapType, PrimitiveType, StructType, TableSchema } from '@millrace/schema';
import { corrupt } from './corrupt.ts';
import { LOGICAL, REPETITION } from './format.ts';
import type { SchemaElement } from './leaf.ts';
import { leafType } from './leaf-type.ts';

/** A column or group of a file as it is to be read: Parquet's levels beside our type. */
export type FileNode = LeafNode | StructNode | ListNode | MapNode;

interface Base {
  name: string;
  /** The id that the schema gives it: the file's own, or one made up when the file has none. */
  id: number;
  hasOwnId: boolean;
  required: boolean;
  /** Definition level from which on the value is there. */
  definition: number;
  /** Lists and maps around it. */
  repetition: number;
}

export interface LeafNode extends Base {
  kind: 'leaf';
  type: PrimitiveType;
  element: SchemaElement;
  /** Its place among the chunks of a row group. */
  chunk: number;
}

export interface StructNode extends Base {
  kind: 'struct';
  /** A variant that is not shredded has two fields, metadata and value. */
  type: StructType | { kind: 'variant' };
  fields: FileNode[];
}

export interface ListNode extends Base {
  kind: 'list';
  type: Extract<ColumnType, { kind: 'list' }>;
  element: FileNode;
}

export interface MapNode extends Base {
  kind: 'map';
  type: MapType;
  key: FileNode;
  value: FileNode;
}

export interface FileSchema {
  schema: TableSchema;
  fields: FileNode[];
  leafCount: number;
}

const MAX_DEPTH = 64;

/**
 * The tree of a file's schema elements, with the older forms of lists and maps (LogicalTypes.md, "Backward-compatibility
 * rules"). A bare repeated field is a list of required elements.
 */
export function readFileSchema(elements: SchemaElement[]): FileSchema {
  let at = 0;
  let leafCount = 0;
  let nextId = Math.max(0, ...elements.map((element) => element.fieldId ?? 0)) + 1;

  const identity = (element: SchemaElement) => ({
    name: element.name,
    id: element.fieldId ?? nextId++,
    hasOwnId: element.fieldId !== undefined,
  });
  const next = (): SchemaElement => {
    if (at >= elements.length) throw corrupt('the schema names more children than it has');
    return elements[at++]!;
  };
  const isRepeated = (element: SchemaElement | undefined) => element?.repetition === REPETITION.REPEATED;

  /** The node of an element, as if it were not repeated itself when `unwrapped`. */
  const read = (
    element: SchemaElement,
    definition: number,
    repetition: number,
    depth: number,
    unwrapped = false,
  ): FileNode => {
    if (depth > MAX_DEPTH) throw corrupt('the schema is nested too deeply');
    if (isRepeated(element) && !unwrapped) {
      const base = { ...identity(element), required: true, definition, repetition };
      return listOf(base, read(element, definition + 1, repetition + 1, depth + 1, true));
    }
    const required = element.repetition !== REPETITION.OPTIONAL;
    const base = { ...identity(element), required, definition: definition + (required ? 0 : 1), repetition };
    if (element.physical !== undefined) {
      return { kind: 'leaf', ...base, type: leafType(element), element, chunk: leafCount++ };
    }
    const children = element.childCount ?? 0;
    if (children < 1) throw corrupt(`group "${element.name}" has no fields`);
    const form = nestedForm(element);
    if (form !== undefined && children === 1 && isRepeated(elements[at])) {
      return form === 'list' ? readList(base, element.name, depth) : readMap(base, depth);
    }
    const fields: FileNode[] = [];
    for (let i = 0; i < children; i++) fields.push(read(next(), base.definition, repetition, depth + 1));
    const type = isVariant(element, fields)
      ? { kind: 'variant' as const }
      : { kind: 'struct' as const, fields: fields.map(fieldOf) };
    return { kind: 'struct', ...base, type, fields };
  };

  const readList = (base: Base, name: string, depth: number): FileNode => {
    const repeated = next();
    const inner = [base.definition + 1, base.repetition + 1, depth + 1] as const;
    const only = elements[at];
    const wraps =
      repeated.physical === undefined &&
      repeated.childCount === 1 &&
      !isRepeated(only) &&
      repeated.name !== 'array' &&
      repeated.name !== `${name}_tuple`;
    return listOf(base, wraps ? read(next(), ...inner) : read(repeated, ...inner, true));
  };

  const readMap = (base: Base, depth: number): FileNode => {
    const repeated = next();
    if (repeated.physical !== undefined || repeated.childCount !== 2)
      throw corrupt(`map "${base.name}" has no key and value`);
    const inner = [base.definition + 1, base.repetition + 1, depth + 1] as const;
    const key = read(next(), ...inner);
    const value = read(next(), ...inner);
    const type: MapType = {
      kind: 'map',
      keyId: key.id,
      key: key.type,
      valueId: value.id,
      value: value.type,
      valueRequired: value.required,
    };
    return { kind: 'map', ...base, type, key, value };
  };

  const root = next();
  const fields: FileNode[] = [];
  for (let i = 0; i < (root.childCount ?? 0); i++) fields.push(read(next(), 0, 0, 0));
  if (at !== elements.length) throw corrupt('the schema has elements that belong to nothing');
  return { schema: { schemaId: 0, fields: fields.map(fieldOf), lastColumnId: nextId - 1 }, fields, leafCount };
}

function listOf(base: Base, element: FileNode): ListNode {
  const type = {
    kind: 'list' as const,
    elementId: element.id,
    element: element.type,
    elementRequired: element.required,
  };
  return { kind: 'list', ...base, type, element };
}

const fieldOf = ({ id, name, type, required }: FileNode): Field => ({ id, name, type, required });

/** Shredded variants have more fields, and are read as the structs that they are. */
const isVariant = ({ logical }: SchemaElement, fields: FileNode[]): boolean =>
  logical?.id === LOGICAL.VARIANT && fields.map(({ name }) => name).join() === 'metadata,value';

function nestedForm(element: SchemaElement): 'list' | 'map' | undefined {
  if (element.logical?.id === 3 || element.converted === 3) return 'list';
  if (element.logical?.id === 2 || element.converted === 1 || element.converted === 2) return 'map';
  return undefined;
}

/** The leaves under a node. */
export function leavesOf(node: FileNode): LeafNode[] {
  switch (node.kind) {
    case 'leaf':
      return [node];
    case 'struct':
      return node.fields.flatMap(leavesOf);
    case 'list':
      return leavesOf(node.element);
    case 'map':
      return [...leavesOf(node.key), ...leavesOf(node.value)];
  }
}
