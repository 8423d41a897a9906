/**
 * The schema of a table: fields with ids that never change, in the terms of Iceberg's type system (spec, "Schemas and
 * data types"). The same ids are Parquet field ids and Delta column-mapping ids. Values are always of these types; the
 * mapping from Avro and its like (reference: types.md, profile portable) has been done when a TableSchema exists.
 */
export type ColumnType =
  | { kind: 'boolean' }
  | { kind: 'int' }
  | { kind: 'long' }
  | { kind: 'float' }
  | { kind: 'double' }
  | { kind: 'decimal'; precision: number; scale: number }
  | { kind: 'date' }
  /** Microseconds of the day. */
  | { kind: 'time' }
  /** Microseconds since the epoch; adjusted = UTC ("timestamptz"), else local ("timestamp"). */
  | { kind: 'timestamp'; adjusted: boolean }
  /** Nanoseconds since the epoch, of Iceberg v3 tables only. */
  | { kind: 'timestamp_ns'; adjusted: boolean }
  | { kind: 'string' }
  | { kind: 'uuid' }
  | { kind: 'fixed'; length: number }
  | { kind: 'binary' }
  /** A value of any shape, of Iceberg v3 tables. It has no bounds, no default and is no map's key. */
  | { kind: 'variant' }
  | StructType
  | ListType
  | MapType;

export interface StructType {
  kind: 'struct';
  fields: Field[];
}

export interface ListType {
  kind: 'list';
  elementId: number;
  element: ColumnType;
  elementRequired: boolean;
}

export interface MapType {
  kind: 'map';
  keyId: number;
  key: ColumnType;
  valueId: number;
  value: ColumnType;
  valueRequired: boolean;
}

export interface Field {
  id: number;
  name: string;
  type: ColumnType;
  required: boolean;
  doc?: string;
  /**
   * Written into rows decoded after the field was added whose writer schema lacks it. Iceberg JSON single-value form.
   * Absent = null.
   */
  writeDefault?: unknown;
  /**
   * Where a top-level column comes from when not from the record's value: its key, or the log itself (`_kafka`).
   * Travels between services; table metadata does not have it.
   */
  source?: 'key' | 'kafka';
  /**
   * The Protobuf field that the column comes from, message and number: "com.example.Order#3". It stays when the name
   * changes. Travels as `source` does.
   */
  origin?: string;
}

export interface TableSchema {
  schemaId: number;
  fields: Field[];
  /** The largest id ever given in this table. */
  lastColumnId: number;
}

export type PrimitiveType = Exclude<ColumnType, StructType | ListType | MapType>;

export const isPrimitive = (type: ColumnType): type is PrimitiveType =>
  type.kind !== 'struct' && type.kind !== 'list' && type.kind !== 'map';
