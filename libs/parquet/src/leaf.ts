import { decimalBytes } from '@millrace/columns';
import { type ColumnType, type Field, isPrimitive, type PrimitiveType, type TableSchema } from '@millrace/schema';
import { CONVERTED, LOGICAL, PHYSICAL, REPETITION } from './format.ts';

/** One element of a Parquet file's flattened schema (parquet.thrift, SchemaElement). */
export interface SchemaElement {
  name: string;
  repetition?: number;
  physical?: number;
  typeLength?: number;
  childCount?: number;
  converted?: number;
  scale?: number;
  precision?: number;
  fieldId?: number;
  /** The member of the LogicalType union, with its parameters. */
  logical?: LogicalType;
}

export interface LogicalType {
  id: number;
  /** TIME, TIMESTAMP. */
  adjusted?: boolean;
  /** TIME, TIMESTAMP: 1 milliseconds, 2 microseconds, 3 nanoseconds. */
  unit?: number;
  /** INTEGER. */
  bitWidth?: number;
  signed?: boolean;
}

/** A step from the root to a leaf: into a struct's field, or into what a list or map repeats. */
export type Step =
  | { into: 'field'; index: number; optional: boolean }
  | { into: 'element' | 'key' | 'value'; optional: boolean };

/** A column of the file: where its vector lies in a batch, and its levels. */
export interface Leaf {
  fieldId: number;
  type: PrimitiveType;
  physical: number;
  /** Bytes of a FIXED_LEN_BYTE_ARRAY value, else 0. */
  fixedLength: number;
  path: string[];
  steps: Step[];
  maxDefinition: number;
  maxRepetition: number;
  /** It is the first or second of a variant's two leaves, which share the variant's field id. */
  variantPart?: 0 | 1;
}

/** The physical type of a value (types.md, "Columns → Parquet → tables"). Of a variant: of its two parts. */
export function physicalType(type: PrimitiveType): { physical: number; fixedLength: number } {
  switch (type.kind) {
    case 'boolean':
      return { physical: PHYSICAL.BOOLEAN, fixedLength: 0 };
    case 'int':
    case 'date':
      return { physical: PHYSICAL.INT32, fixedLength: 0 };
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamp_ns':
      return { physical: PHYSICAL.INT64, fixedLength: 0 };
    case 'float':
      return { physical: PHYSICAL.FLOAT, fixedLength: 0 };
    case 'double':
      return { physical: PHYSICAL.DOUBLE, fixedLength: 0 };
    case 'decimal':
      if (type.precision <= 9) return { physical: PHYSICAL.INT32, fixedLength: 0 };
      if (type.precision <= 18) return { physical: PHYSICAL.INT64, fixedLength: 0 };
      return { physical: PHYSICAL.FIXED_LEN_BYTE_ARRAY, fixedLength: decimalBytes(type.precision) };
    case 'uuid':
      return { physical: PHYSICAL.FIXED_LEN_BYTE_ARRAY, fixedLength: 16 };
    case 'fixed':
      return { physical: PHYSICAL.FIXED_LEN_BYTE_ARRAY, fixedLength: type.length };
    case 'string':
    case 'binary':
    case 'variant':
      return { physical: PHYSICAL.BYTE_ARRAY, fixedLength: 0 };
  }
}

function annotation(type: PrimitiveType): Partial<SchemaElement> {
  switch (type.kind) {
    case 'string':
      return { converted: CONVERTED.UTF8, logical: { id: LOGICAL.STRING } };
    case 'date':
      return { converted: CONVERTED.DATE, logical: { id: LOGICAL.DATE } };
    case 'time':
      // The converted type means "adjusted to UTC", which a time of day is not.
      return { logical: { id: LOGICAL.TIME, adjusted: false, unit: 2 } };
    case 'timestamp':
      return {
        ...(type.adjusted ? { converted: CONVERTED.TIMESTAMP_MICROS } : {}),
        logical: { id: LOGICAL.TIMESTAMP, adjusted: type.adjusted, unit: 2 },
      };
    case 'timestamp_ns':
      return { logical: { id: LOGICAL.TIMESTAMP, adjusted: type.adjusted, unit: 3 } };
    case 'decimal':
      return {
        converted: CONVERTED.DECIMAL,
        scale: type.scale,
        precision: type.precision,
        logical: { id: LOGICAL.DECIMAL },
      };
    case 'uuid':
      return { logical: { id: LOGICAL.UUID } };
    default:
      return {};
  }
}

/**
 * A table's schema as a Parquet file's: its elements in depth-first order, root first, and its leaves. Lists have three
 * levels (`list.element`), maps are `key_value` groups (LogicalTypes.md, "Nested Types"); element, key and value carry ids.
 */
export function flattenSchema(schema: TableSchema, fieldIds: boolean): { elements: SchemaElement[]; leaves: Leaf[] } {
  const elements: SchemaElement[] = [{ name: 'table', childCount: schema.fields.length }];
  const leaves: Leaf[] = [];

  const visit = (
    field: Pick<Field, 'id' | 'name' | 'type' | 'required'>,
    above: { path: string[]; steps: Step[]; definition: number; repetition: number },
    step: Step,
  ) => {
    const { type } = field;
    const path = [...above.path, field.name];
    const steps = [...above.steps, step];
    const definition = above.definition + (field.required ? 0 : 1);
    const { repetition } = above;
    const element: SchemaElement = {
      name: field.name,
      repetition: field.required ? REPETITION.REQUIRED : REPETITION.OPTIONAL,
      ...(fieldIds ? { fieldId: field.id } : {}),
    };
    if (type.kind === 'variant') {
      elements.push({ ...element, childCount: 2, logical: { id: LOGICAL.VARIANT } });
      for (const [index, name] of (['metadata', 'value'] as const).entries()) {
        elements.push({ name, repetition: REPETITION.REQUIRED, physical: PHYSICAL.BYTE_ARRAY });
        leaves.push({
          fieldId: field.id,
          type: { kind: 'binary' },
          physical: PHYSICAL.BYTE_ARRAY,
          fixedLength: 0,
          path: [...path, name],
          steps: [...steps, { into: 'field', index, optional: false }],
          maxDefinition: definition,
          maxRepetition: repetition,
          variantPart: index as 0 | 1,
        });
      }
      return;
    }
    if (isPrimitive(type)) {
      const { physical, fixedLength } = physicalType(type);
      elements.push({
        ...element,
        physical,
        ...(fixedLength > 0 ? { typeLength: fixedLength } : {}),
        ...annotation(type),
      });
      leaves.push({
        fieldId: field.id,
        type,
        physical,
        fixedLength,
        path,
        steps,
        maxDefinition: definition,
        maxRepetition: repetition,
      });
      return;
    }
    if (type.kind === 'struct') {
      elements.push({ ...element, childCount: type.fields.length });
      visitFields(type.fields, { path, steps, definition, repetition });
      return;
    }
    const inner = { steps, definition: definition + 1, repetition: repetition + 1 };
    const repeated = (name: string, childCount: number) =>
      elements.push({ name, repetition: REPETITION.REPEATED, childCount });
    const child = (
      into: 'element' | 'key' | 'value',
      id: number,
      childType: ColumnType,
      required: boolean,
      group: string,
    ) =>
      visit(
        { id, name: into, type: childType, required },
        { ...inner, path: [...path, group] },
        { into, optional: !required },
      );
    if (type.kind === 'list') {
      elements.push({ ...element, childCount: 1, converted: CONVERTED.LIST, logical: { id: LOGICAL.LIST } });
      repeated('list', 1);
      child('element', type.elementId, type.element, type.elementRequired, 'list');
    } else {
      elements.push({ ...element, childCount: 1, converted: CONVERTED.MAP, logical: { id: LOGICAL.MAP } });
      repeated('key_value', 2);
      child('key', type.keyId, type.key, true, 'key_value');
      child('value', type.valueId, type.value, type.valueRequired, 'key_value');
    }
  };
  const visitFields = (
    fields: Field[],
    above: { path: string[]; steps: Step[]; definition: number; repetition: number },
  ) => {
    for (const [index, field] of fields.entries())
      visit(field, above, { into: 'field', index, optional: !field.required });
  };

  visitFields(schema.fields, { path: [], steps: [], definition: 0, repetition: 0 });
  return { elements, leaves };
}
