import { MillraceError } from '@millrace/base';
import { type SchemaJson, walkType } from './schema-json.ts';

/** A partition spec (specification, "Partitioning" and appendix C). Spec 0 without fields is an unpartitioned table. */
export interface PartitionSpec {
  'spec-id': number;
  fields: PartitionField[];
}

export interface PartitionField {
  'source-id'?: number;
  /** Transforms of several columns (version 3). */
  'source-ids'?: number[];
  /** Given by the table when a client leaves it out. */
  'field-id'?: number;
  name: string;
  transform: string;
}

export interface SortOrder {
  'order-id': number;
  fields: SortField[];
}

export interface SortField {
  'source-id'?: number;
  'source-ids'?: number[];
  transform: string;
  direction: 'asc' | 'desc';
  'null-order': 'nulls-first' | 'nulls-last';
}

export const UNPARTITIONED: PartitionSpec = { 'spec-id': 0, fields: [] };
export const UNSORTED: SortOrder = { 'order-id': 0, fields: [] };
/** Partition field ids start above this one. */
export const LAST_PARTITION_ID = 999;

const sources = (field: PartitionField | SortField): number[] => field['source-ids'] ?? [field['source-id']!];

const sameSource = (a: PartitionField | SortField, b: PartitionField | SortField): boolean =>
  a.transform === b.transform && sources(a).join() === sources(b).join();

/** Equal fields in equal order, names and ids included (a missing id matches any). */
export const compatibleSpecs = (a: PartitionSpec, b: PartitionSpec): boolean =>
  a.fields.length === b.fields.length &&
  a.fields.every((field, i) => {
    const other = b.fields[i]!;
    const ids = [field['field-id'], other['field-id']];
    return sameSource(field, other) && field.name === other.name && (ids.includes(undefined) || ids[0] === ids[1]);
  });

export const sameOrder = (a: SortOrder, b: SortOrder): boolean =>
  a.fields.length === b.fields.length &&
  a.fields.every((field, i) => {
    const other = b.fields[i]!;
    return (
      sameSource(field, other) && field.direction === other.direction && field['null-order'] === other['null-order']
    );
  });

/**
 * Gives every partition field an id: the one it came with, else the id that another spec of the table uses for the
 * same source and transform, else the next free one.
 */
export function bindSpec(spec: PartitionSpec, others: PartitionSpec[], lastPartitionId: number): PartitionSpec {
  let last = lastPartitionId;
  const used = new Set(spec.fields.map((field) => field['field-id']));
  const known = others.flatMap((other) => other.fields);
  const fields = spec.fields.map((field) => {
    if (field['field-id'] !== undefined) return field;
    const again = known.find((other) => sameSource(field, other) && !used.has(other['field-id']));
    const id = again?.['field-id'] ?? ++last;
    used.add(id);
    return { ...field, 'field-id': id };
  });
  return { ...spec, fields };
}

/** Refuses fields whose source is no primitive column of the schema, and names or ids used twice. */
export function checkSpec(spec: PartitionSpec, schema: SchemaJson): void {
  const columns = new Map([...walkType(schema)].map((leaf) => [leaf.id, leaf]));
  const topLevel = new Map(schema.fields.map((field) => [field.name, field.id]));
  const names = new Set<string>();
  for (const field of spec.fields) {
    if (names.has(field.name)) throw invalid(`Cannot use partition name more than once: ${field.name}`);
    names.add(field.name);
    for (const id of sources(field)) {
      const column = columns.get(id);
      if (column === undefined) {
        // A dropped column may stay the source of a field that became void.
        if (field.transform === 'void') continue;
        throw invalid(`Cannot find source column for partition field: ${field.name}: ${field.transform}(${id})`);
      }
      if (typeof column.type !== 'string') {
        throw invalid(`Cannot partition by non-primitive source field: ${column.path}`);
      }
    }
    const clash = topLevel.get(field.name);
    if (
      clash !== undefined &&
      field.transform !== 'void' &&
      !(field.transform === 'identity' && sources(field)[0] === clash)
    ) {
      throw invalid(`Cannot create partition from name that exists in schema: ${field.name}`);
    }
  }
}

export function checkOrder(order: SortOrder, schema: SchemaJson): void {
  const columns = new Map([...walkType(schema)].map((leaf) => [leaf.id, leaf]));
  for (const field of order.fields) {
    for (const id of sources(field)) {
      const column = columns.get(id);
      if (column === undefined) throw invalid(`Cannot find source column for sort field: ${field.transform}(${id})`);
      if (typeof column.type !== 'string') throw invalid(`Cannot sort by non-primitive source field: ${column.path}`);
    }
  }
}

/** The same fields over columns whose ids have been reassigned. */
export function remapSources<T extends PartitionField | SortField>(fields: T[], newIds: Map<number, number>): T[] {
  const remap = (id: number): number => newIds.get(id) ?? id;
  return fields.map((field) => ({
    ...field,
    ...(field['source-id'] === undefined ? {} : { 'source-id': remap(field['source-id']) }),
    ...(field['source-ids'] === undefined ? {} : { 'source-ids': field['source-ids'].map(remap) }),
  }));
}

const invalid = (message: string): MillraceError =>
  new MillraceError('invalid', message, { code: 'ValidationException' });
