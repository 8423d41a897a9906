import { MillraceError } from '@millrace/base';
import type { ColumnType, Field, TableSchema } from '@millrace/schema';
import { parseJson } from './json.ts';

/**
 * A table's schema as Delta writes it: Spark's StructType JSON (protocol, "Schema Serialization Format").
 *
 *   struct = {"type":"struct","fields":[{"name","type","nullable","metadata"} …]}
 *   array  = {"type":"array","elementType","containsNull"}
 *   map    = {"type":"map","keyType","valueType","valueContainsNull"}
 *   primitive = "string" | "long" | "integer" | … | "decimal(p,s)"
 */
export type DeltaType = string | DeltaStruct | DeltaArray | DeltaMap;

export interface DeltaStruct {
  type: 'struct';
  fields: DeltaField[];
}

export interface DeltaField {
  name: string;
  type: DeltaType;
  nullable: boolean;
  metadata: Record<string, unknown>;
}

interface DeltaArray {
  type: 'array';
  elementType: DeltaType;
  containsNull: boolean;
}

interface DeltaMap {
  type: 'map';
  keyType: DeltaType;
  valueType: DeltaType;
  valueContainsNull: boolean;
}

const PRIMITIVES: Record<string, string> = {
  boolean: 'boolean',
  int: 'integer',
  long: 'long',
  float: 'float',
  double: 'double',
  date: 'date',
  string: 'string',
  binary: 'binary',
};

/**
 * The Delta schema of a table. `unsupported` (code "delta-name" or "delta-type", context "field") for what Delta can't
 * hold without column mapping: a name with one of ` ,;{}()=`, tab or newline, two names that differ in case only, and
 * Iceberg's time, uuid and fixed.
 */
export function deltaSchema(schema: TableSchema): DeltaStruct {
  return { type: 'struct', fields: deltaFields(schema.fields, '') };
}

function deltaFields(fields: Field[], parent: string): DeltaField[] {
  const seen = new Map<string, string>();
  return fields.map((field) => {
    const path = parent + field.name;
    if (/[ ,;{}()\n\t=]/.test(field.name) || field.name === '') {
      throw refusal('delta-name', path, 'a Delta column name is not empty and has none of " ,;{}()=", tab or newline');
    }
    const twin = seen.get(field.name.toLowerCase());
    if (twin !== undefined) {
      throw refusal('delta-name', path, `it differs from ${parent}${twin} in case only, and Delta names ignore case`);
    }
    seen.set(field.name.toLowerCase(), field.name);
    return {
      name: field.name,
      type: deltaType(field.type, path),
      nullable: !field.required,
      metadata: field.doc === undefined ? {} : { comment: field.doc },
    };
  });
}

function deltaType(type: ColumnType, path: string): DeltaType {
  switch (type.kind) {
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`;
    case 'timestamp':
      return type.adjusted ? 'timestamp' : 'timestamp_ntz';
    case 'struct':
      return { type: 'struct', fields: deltaFields(type.fields, `${path}.`) };
    case 'list':
      return {
        type: 'array',
        elementType: deltaType(type.element, `${path}.element`),
        containsNull: !type.elementRequired,
      };
    case 'map':
      return {
        type: 'map',
        keyType: deltaType(type.key, `${path}.key`),
        valueType: deltaType(type.value, `${path}.value`),
        valueContainsNull: !type.valueRequired,
      };
  }
  const name = PRIMITIVES[type.kind];
  if (name === undefined) throw refusal('delta-type', path, `Delta has no type for Iceberg's ${type.kind}`);
  return name;
}

const refusal = (code: string, field: string, why: string) =>
  new MillraceError(
    'unsupported',
    `column ${JSON.stringify(field)} can't be in a Delta table: ${why}. Rename it in the topic's schema, or enable the topic without the delta format`,
    { code, context: { field } },
  );

/** The table features that a schema needs: "timestampNtz", "typeWidening". */
export function schemaFeatures(type: DeltaType, features = new Set<string>()): Set<string> {
  if (type === 'timestamp_ntz') features.add('timestampNtz');
  if (typeof type === 'string') return features;
  if (type.type === 'array') return schemaFeatures(type.elementType, features);
  if (type.type === 'map') return schemaFeatures(type.valueType, schemaFeatures(type.keyType, features));
  for (const field of type.fields) {
    if (field.metadata['delta.typeChanges'] !== undefined) features.add('typeWidening');
    schemaFeatures(field.type, features);
  }
  return features;
}

export function parseDeltaSchema(schemaString: string): DeltaStruct {
  const value = parseJson(schemaString) as DeltaStruct;
  if (value?.type !== 'struct' || !Array.isArray(value.fields)) {
    throw new MillraceError('corrupt', 'schemaString of the Delta log is not a struct', {
      code: 'delta-schema-invalid',
    });
  }
  return value;
}

const KINDS: Record<string, ColumnType> = {
  boolean: { kind: 'boolean' },
  byte: { kind: 'int' },
  short: { kind: 'int' },
  integer: { kind: 'int' },
  long: { kind: 'long' },
  float: { kind: 'float' },
  double: { kind: 'double' },
  date: { kind: 'date' },
  string: { kind: 'string' },
  binary: { kind: 'binary' },
  timestamp: { kind: 'timestamp', adjusted: true },
  timestamp_ntz: { kind: 'timestamp', adjusted: false },
};

/**
 * The other direction, for tables that Millrace did not make: ids are given in Iceberg's order of creation (a level's
 * fields before what they hold). `unsupported` for types that TableSchema has none for.
 */
export function tableSchemaOf(struct: DeltaStruct): TableSchema {
  let lastColumnId = 0;
  const fieldsOf = (fields: DeltaField[]): Field[] => {
    const ids = fields.map(() => ++lastColumnId);
    return fields.map((field, i) => ({
      id: ids[i]!,
      name: field.name,
      type: typeOf(field.type, field.name),
      required: !field.nullable,
      ...(typeof field.metadata?.comment === 'string' ? { doc: field.metadata.comment } : {}),
    }));
  };
  const typeOf = (type: DeltaType, name: string): ColumnType => {
    if (typeof type === 'string') {
      const decimal = /^decimal\((\d+),\s*(\d+)\)$/.exec(type);
      if (decimal) return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) };
      const known = KINDS[type];
      if (known) return known;
      throw new MillraceError('unsupported', `column ${name} has the type ${type}, which Millrace does not read`, {
        code: 'delta-type',
        context: { field: name },
      });
    }
    if (type.type === 'struct') return { kind: 'struct', fields: fieldsOf(type.fields) };
    if (type.type === 'array') {
      const elementId = ++lastColumnId;
      const element = typeOf(type.elementType, name);
      return { kind: 'list', elementId, element, elementRequired: !type.containsNull };
    }
    const keyId = ++lastColumnId;
    const valueId = ++lastColumnId;
    const key = typeOf(type.keyType, name);
    const value = typeOf(type.valueType, name);
    return { kind: 'map', keyId, key, valueId, value, valueRequired: !type.valueContainsNull };
  };
  const fields = fieldsOf(struct.fields);
  return { schemaId: 0, fields, lastColumnId };
}
