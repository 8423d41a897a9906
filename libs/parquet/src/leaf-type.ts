import type { PrimitiveType } from '@millrace/schema';
import { corrupt, unsupported } from './corrupt.ts';
import { CONVERTED, LOGICAL, PHYSICAL } from './format.ts';
import type { SchemaElement } from './leaf.ts';

/** Our type of a leaf: what the file's logical or, failing that, converted type says of its physical type. */
export function leafType(element: SchemaElement): PrimitiveType {
  const { physical, logical, converted } = element;
  switch (physical) {
    case PHYSICAL.BOOLEAN:
      return { kind: 'boolean' };
    case PHYSICAL.FLOAT:
      return { kind: 'float' };
    case PHYSICAL.DOUBLE:
      return { kind: 'double' };
    case PHYSICAL.INT96:
      // Only ever used for timestamps, which Spark and Hive keep in UTC.
      return { kind: 'timestamp', adjusted: true };
    case PHYSICAL.INT32:
      if (isDecimal(element)) return decimal(element);
      if (logical?.id === LOGICAL.DATE || converted === CONVERTED.DATE) return { kind: 'date' };
      if (logical?.id === LOGICAL.TIME || converted === CONVERTED.TIME_MILLIS) return { kind: 'time' };
      return unsigned(element) === 32 ? { kind: 'long' } : { kind: 'int' };
    case PHYSICAL.INT64:
      if (isDecimal(element)) return decimal(element);
      // Nanoseconds are not rounded: a time of day in them stays a number.
      if (logical?.id === LOGICAL.TIME && logical.unit === 3) return { kind: 'long' };
      if (logical?.unit === 3) return { kind: 'timestamp_ns', adjusted: logical.adjusted! };
      if (logical?.id === LOGICAL.TIME || converted === CONVERTED.TIME_MICROS) return { kind: 'time' };
      if (logical?.id === LOGICAL.TIMESTAMP) return { kind: 'timestamp', adjusted: logical.adjusted! };
      if (converted === CONVERTED.TIMESTAMP_MICROS || converted === CONVERTED.TIMESTAMP_MILLIS)
        return { kind: 'timestamp', adjusted: true };
      return unsigned(element) === 64 ? { kind: 'decimal', precision: 20, scale: 0 } : { kind: 'long' };
    case PHYSICAL.BYTE_ARRAY:
      if (isDecimal(element)) return decimal(element);
      return isText(element) ? { kind: 'string' } : { kind: 'binary' };
    case PHYSICAL.FIXED_LEN_BYTE_ARRAY: {
      const length = element.typeLength ?? 0;
      if (length < 1 || length > 1 << 20) throw corrupt(`column "${element.name}" of ${length} bytes a value`);
      if (isDecimal(element)) return decimal(element);
      if (logical?.id === LOGICAL.UUID && length === 16) return { kind: 'uuid' };
      if (logical?.id === LOGICAL.FLOAT16 && length === 2) return { kind: 'float' };
      return { kind: 'fixed', length };
    }
    default:
      throw corrupt(`column "${element.name}" has the unknown physical type ${physical}`);
  }
}

const isDecimal = ({ logical, converted }: SchemaElement) =>
  logical?.id === LOGICAL.DECIMAL || converted === CONVERTED.DECIMAL;

function decimal({ name, precision = 0, scale = 0 }: SchemaElement): PrimitiveType {
  if (precision < 1 || scale < 0 || scale > precision)
    throw corrupt(`column "${name}" is decimal(${precision},${scale})`);
  if (precision > 38) throw unsupported(`column "${name}" is decimal(${precision},${scale}), of more than 38 digits`);
  return { kind: 'decimal', precision, scale };
}

function unsigned({ logical, converted }: SchemaElement): number {
  if (logical?.id === LOGICAL.INTEGER) return logical.signed ? 0 : logical.bitWidth!;
  if (converted === CONVERTED.UINT_32) return 32;
  return converted === CONVERTED.UINT_64 ? 64 : 0;
}

function isText({ logical, converted }: SchemaElement): boolean {
  if (logical !== undefined) return [LOGICAL.STRING, LOGICAL.ENUM, LOGICAL.JSON].includes(logical.id);
  return converted === CONVERTED.UTF8 || converted === CONVERTED.ENUM || converted === CONVERTED.JSON;
}
