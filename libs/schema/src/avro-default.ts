import type { Mapped, MappedField } from './avro-mapping.ts';
import type { AvroType } from './avro-schema.ts';
import { bytesBigint, singleValueFromJson, singleValueToJson, uuidText } from './single-value.ts';
import type { ColumnType, PrimitiveType, StructType } from './table-schema.ts';

/**
 * A field's Avro default (its schema JSON) in Iceberg's JSON single-value form for the column that it became; struct
 * defaults are keyed by field id, so the column has its ids already. Null is undefined: no default. So is a default
 * that does not fit its type: registries are full of them, and Avro's older parsers let them pass.
 */
export function writeDefaultOf(avro: AvroType, mapped: Mapped, column: ColumnType, written: unknown): unknown {
  const value = convert(avro, mapped, column, written);
  return value === null || value === MISFIT ? undefined : value;
}

const MISFIT = Symbol('misfit');

function convert(avro: AvroType, mapped: Mapped, column: ColumnType, written: unknown): unknown {
  if (avro.kind === 'union') return convertUnion(avro.branches, mapped, column, written);
  switch (mapped.kind) {
    case 'none':
      return written === null ? null : MISFIT;
    case 'json':
      return JSON.stringify(written);
    case 'record':
      return convertRecord(mapped.fields, column as StructType, written);
    case 'list':
      if (column.kind !== 'list' || avro.kind !== 'array' || !Array.isArray(written)) return MISFIT;
      return all(written.map((item) => convert(avro.items, mapped.item, column.element, item)));
    case 'map': {
      if (column.kind !== 'map' || avro.kind !== 'map' || !isObject(written)) return MISFIT;
      const values = all(
        Object.values(written).map((value) => convert(avro.values, mapped.value, column.value, value)),
      );
      return values === MISFIT ? MISFIT : { keys: Object.keys(written), values };
    }
    case 'duration': {
      const bytes = latin1(written);
      if (bytes?.length !== 12 || column.kind !== 'struct') return MISFIT;
      const data = new DataView(bytes.buffer);
      return Object.fromEntries(column.fields.map((field, at) => [field.id, data.getUint32(4 * at, true)]));
    }
    case 'leaf':
      return convertLeaf(avro, mapped.column, written);
    case 'union':
      return MISFIT;
  }
}

// Avro 1.12: the first branch that the default fits (before, the first branch alone).
function convertUnion(branches: AvroType[], mapped: Mapped, column: ColumnType, written: unknown): unknown {
  for (const [position, branch] of branches.entries()) {
    if (branch.kind === 'null') {
      if (written === null) return null;
      continue;
    }
    if (mapped.kind !== 'union') {
      const value = convert(branch, mapped, column, written);
      if (value !== MISFIT) return value;
      continue;
    }
    const at = mapped.fields.findIndex((field) => field.position === position);
    const field = (column as StructType).fields[at];
    const value = field === undefined ? MISFIT : convert(branch, mapped.fields[at]!.mapped, field.type, written);
    if (value !== MISFIT) return { [field!.id]: value };
  }
  return MISFIT;
}

function convertRecord(fields: MappedField[], column: StructType, written: unknown): unknown {
  if (!isObject(written)) return MISFIT;
  const values: Record<string, unknown> = {};
  for (const [at, { name, avro, field, mapped }] of fields.entries()) {
    const given = Object.hasOwn(written, name) ? written[name] : field?.default;
    const value = given === undefined ? MISFIT : convert(avro, mapped, column.fields[at]!.type, given);
    if (value === MISFIT) return MISFIT;
    if (value !== null) values[column.fields[at]!.id] = value;
  }
  return values;
}

function convertLeaf(avro: AvroType, column: PrimitiveType, written: unknown): unknown {
  try {
    switch (avro.kind) {
      case 'enum':
        return typeof written === 'string' && avro.symbols.includes(written) ? written : MISFIT;
      case 'bytes':
      case 'fixed': {
        const bytes = latin1(written);
        if (bytes === undefined || (avro.kind === 'fixed' && bytes.length !== avro.size)) return MISFIT;
        if (avro.logical?.kind === 'uuid') return uuidText(bytes);
        return fit(column, singleValueToJson(column, column.kind === 'decimal' ? bytesBigint(bytes) : bytes));
      }
      case 'int':
      case 'long': {
        if (!(typeof written === 'number' && Number.isInteger(written)) && !/^-?\d+$/.test(String(written)))
          return MISFIT;
        const number = BigInt(written as number | string) * (avro.logical?.kind.endsWith('-millis') ? 1000n : 1n);
        if (column.kind === 'int' || column.kind === 'date')
          return fit(column, singleValueToJson(column, Number(number)));
        return fit(column, singleValueToJson(column, number));
      }
      default:
        return fit(column, written);
    }
  } catch {
    return MISFIT;
  }
}

// Reading it back is the check that the value is in the type's range.
function fit(column: PrimitiveType, json: unknown): unknown {
  singleValueFromJson(column, json);
  return json;
}

const all = (values: unknown[]): unknown => (values.includes(MISFIT) ? MISFIT : values);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function latin1(value: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (typeof value !== 'string' || /[^\0-\xff]/.test(value)) return undefined;
  return Uint8Array.from(Buffer.from(value, 'latin1'));
}
