import { MillraceError } from '@millrace/base';
import {
  type AvroField,
  type AvroLogical,
  type AvroRecord,
  type AvroType,
  branchName,
  shortName,
} from './avro-schema.ts';
import type { PrimitiveType } from './table-schema.ts';

/**
 * What becomes of an Avro type in a table (type mapping version 1, profile portable). Tables are derived from it and
 * decoders follow it, so both see the same columns.
 *
 * - leaf: one column. json: one string column with the JSON text of a value that columns can't hold: a recursive
 *   reference from that point down, a record without fields, an array or map of nothing but null.
 * - none: null alone has no column.
 */
export type Mapped = { optional: boolean } & Shape;

export type Shape =
  | { kind: 'none' }
  | { kind: 'leaf'; column: PrimitiveType }
  | { kind: 'json' }
  | { kind: 'record'; fields: MappedField[] }
  /** One optional field a branch, without the null branch. */
  | { kind: 'union'; fields: MappedField[] }
  /** months, days, millis as long. */
  | { kind: 'duration' }
  | { kind: 'list'; item: Mapped }
  | { kind: 'map'; value: Mapped };

export interface MappedField {
  name: string;
  /** Position among the record's fields or the union's branches. */
  position: number;
  avro: AvroType;
  field?: AvroField;
  mapped: Mapped;
}

export const DURATION_FIELDS = ['months', 'days', 'millis'] as const;

const MAX_COLUMNS = 10_000;

/** Maps a type. Throws `unsupported` for what no table can hold, naming the field. */
export function mapAvro(type: AvroType, path = 'the value'): Mapped {
  return map(type, path, [], { columns: 0 });
}

function map(type: AvroType, path: string, within: AvroRecord[], budget: { columns: number }): Mapped {
  // A small schema can stand for exponentially many columns: records that each use the next one twice.
  if (++budget.columns > MAX_COLUMNS)
    throw new MillraceError(
      'unsupported',
      `The schema has more than ${MAX_COLUMNS} columns once its types are written out`,
      {
        code: 'too-many-columns',
      },
    );
  switch (type.kind) {
    case 'null':
      return { optional: true, kind: 'none' };
    case 'record': {
      if (within.includes(type) || type.fields.length === 0) return { optional: false, kind: 'json' };
      const fields = type.fields.map((field, position) => ({
        name: field.name,
        position,
        avro: field.type,
        field,
        mapped: map(field.type, `${path}.${field.name}`, [...within, type], budget),
      }));
      const kept = fields.filter((field) => field.mapped.kind !== 'none');
      checkNames(kept, path);
      return kept.length === 0 ? { optional: false, kind: 'json' } : { optional: false, kind: 'record', fields: kept };
    }
    case 'array': {
      const item = map(type.items, `${path}.element`, within, budget);
      return item.kind === 'none' ? { optional: false, kind: 'json' } : { optional: false, kind: 'list', item };
    }
    case 'map': {
      const value = map(type.values, `${path}.value`, within, budget);
      return value.kind === 'none' ? { optional: false, kind: 'json' } : { optional: false, kind: 'map', value };
    }
    case 'union':
      return mapUnion(type.branches, path, within, budget);
    case 'enum':
      return { optional: false, kind: 'leaf', column: { kind: 'string' } };
    default:
      if (type.logical?.kind === 'duration') return { optional: false, kind: 'duration' };
      return { optional: false, kind: 'leaf', column: leafColumn(type.kind, type.logical, path) };
  }
}

function mapUnion(branches: AvroType[], path: string, within: AvroRecord[], budget: { columns: number }): Mapped {
  const optional = branches.some((branch) => branch.kind === 'null');
  const others = branches.map((avro, position) => ({ avro, position })).filter(({ avro }) => avro.kind !== 'null');
  if (others.length === 0) return { optional: true, kind: 'none' };
  if (others.length === 1) {
    const only = map(others[0]!.avro, path, within, budget);
    return { ...only, optional: optional || only.optional };
  }
  const short = others.map(({ avro }) => shortName(branchName(avro)));
  const fields = others.map(({ avro, position }, at) => {
    const unique = short.filter((name) => name.toLowerCase() === short[at]!.toLowerCase()).length === 1;
    const name = unique ? short[at]! : branchName(avro).replaceAll('.', '_');
    return { name, position, avro, mapped: { ...map(avro, `${path}.${name}`, within, budget), optional: true } };
  });
  checkNames(fields, path);
  return { optional, kind: 'union', fields };
}

function leafColumn(kind: string, logical: AvroLogical | undefined, path: string): PrimitiveType {
  switch (logical?.kind) {
    case 'decimal':
      if (logical.precision > 38)
        throw new MillraceError(
          'unsupported',
          `Field ${path} is decimal(${logical.precision}, ${logical.scale}), wider than the 38 digits that Iceberg and Delta can hold: declare a smaller precision, or plain bytes`,
          { code: 'decimal-too-wide', context: { field: path } },
        );
      return { kind: 'decimal', precision: logical.precision, scale: logical.scale };
    case 'uuid':
      return { kind: 'string' };
    case 'date':
      return { kind: 'date' };
    case 'time-millis':
    case 'time-micros':
    case 'timestamp-nanos':
    case 'local-timestamp-nanos':
      return { kind: 'long' };
    case 'timestamp-millis':
    case 'timestamp-micros':
      return { kind: 'timestamp', adjusted: true };
    case 'local-timestamp-millis':
    case 'local-timestamp-micros':
      return { kind: 'timestamp', adjusted: false };
  }
  if (kind === 'bytes' || kind === 'fixed') return { kind: 'binary' };
  return { kind } as PrimitiveType;
}

// Delta and most engines do not tell upper from lower case.
function checkNames(fields: { name: string }[], path: string): void {
  const seen = new Map<string, string>();
  for (const { name } of fields) {
    const other = seen.get(name.toLowerCase());
    if (other !== undefined)
      throw new MillraceError(
        'unsupported',
        `In ${path} the fields "${other}" and "${name}" are the same column name to engines that ignore case: rename one of them`,
        { code: 'column-name-clash', context: { field: path } },
      );
    seen.set(name.toLowerCase(), name);
  }
}
