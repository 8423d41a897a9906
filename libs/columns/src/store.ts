import { type ColumnType, type SingleValue, singleValueFromJson } from '@millrace/schema';
import { type Column, decimalWidth, reserve, setBytes, setNull } from './column.ts';

/** Puts a value into row n of a leaf column, plainly; the column decides the form. */
export function storeValue(column: Column, n: number, value: SingleValue): void {
  switch (column.kind) {
    case 'boolean':
      column.flags[n] = value ? 1 : 0;
      break;
    case 'int32':
      column.ints[n] = Number(value);
      break;
    case 'int64': {
      const bits = BigInt.asUintN(64, BigInt(value as number | bigint));
      column.ints[2 * n] = Number(bits & 0xffffffffn);
      column.ints[2 * n + 1] = Number(bits >> 32n);
      break;
    }
    case 'float':
      column.floats[n] = Number(value);
      break;
    case 'double':
      column.doubles[n] = Number(value);
      break;
    default:
      setBytes(
        column,
        n,
        typeof value === 'bigint'
          ? wide(value, decimalWidth(column))
          : typeof value === 'string'
            ? column.type.kind === 'uuid'
              ? Buffer.from(value.replaceAll('-', ''), 'hex')
              : Buffer.from(value)
            : (value as Uint8Array),
      );
  }
}

function wide(value: bigint, width: number): Uint8Array {
  const bytes = new Uint8Array(width);
  for (let i = width - 1; i >= 0; i--, value >>= 8n) bytes[i] = Number(value & 255n);
  return bytes;
}

/**
 * Puts a default (Iceberg's JSON single-value form; undefined or null = null) into row n of any column.
 * Throws `invalid` when it does not fit the type.
 */
export function storeDefault(column: Column, n: number, json: unknown): void {
  const type: ColumnType = column.type;
  if (json === undefined || json === null) {
    setNull(column, n);
  } else if (type.kind === 'struct') {
    for (const [at, field] of type.fields.entries())
      storeDefault(column.children[at]!, n, (json as Record<string, unknown>)[field.id]);
  } else if (type.kind === 'list') {
    storeItems(column, n, json as unknown[], (at, item) => storeDefault(column.children[0]!, at, item));
  } else if (type.kind === 'map') {
    const { keys, values } = json as { keys: unknown[]; values: unknown[] };
    storeItems(column, n, keys, (at, key, i) => {
      storeDefault(column.children[0]!, at, key);
      storeDefault(column.children[1]!, at, values[i]);
    });
  } else storeValue(column, n, singleValueFromJson(type, json));
}

function storeItems(
  column: Column,
  n: number,
  items: unknown[],
  store: (at: number, item: unknown, i: number) => void,
): void {
  const domain = column.childDomain!;
  reserve(domain, items.length);
  const start = domain.length;
  domain.length += items.length;
  for (const [i, item] of items.entries()) store(start + i, item, i);
  column.lengths[n] = items.length;
}
