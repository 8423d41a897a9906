import { isObject, jsonDigits } from './json-documents.ts';
import type { JsonSchema } from './json-schema.ts';
import { JsonMisfit, jsonSingleValue } from './json-value.ts';
import { singleValueToJson } from './single-value.ts';
import { type ColumnType, isPrimitive } from './table-schema.ts';

/**
 * A property's default in Iceberg's JSON single-value form for the column that it became; the defaults of structs are
 * keyed by field id. Undefined: none, also for a default that its own schema does not allow, as many are.
 */
export function jsonDefault(schema: JsonSchema, column: ColumnType, json: unknown): unknown {
  try {
    return convert(schema, column, json) ?? undefined;
  } catch (error) {
    if (error instanceof JsonMisfit) return undefined;
    throw error;
  }
}

function convert(schema: JsonSchema, column: ColumnType, json: unknown): unknown {
  if (json === null) return null;
  switch (schema.kind) {
    case 'any':
      if (column.kind !== 'string') throw new JsonMisfit();
      return JSON.stringify(json);
    case 'object': {
      if (column.kind !== 'struct' || !isObject(json)) throw new JsonMisfit();
      const values: Record<string, unknown> = {};
      for (const property of schema.properties) {
        const field = column.fields.find(({ name }) => name === property.name);
        const given = Object.hasOwn(json, property.name) ? json[property.name] : (property.default ?? null);
        const value = field && convert(property.schema, field.type, given);
        if (field && value !== null) values[field.id] = value;
      }
      return values;
    }
    case 'array':
      if (column.kind !== 'list' || !Array.isArray(json)) throw new JsonMisfit();
      return json.map((item) => convert(schema.items, column.element, item));
    case 'map':
      if (column.kind !== 'map' || !isObject(json)) throw new JsonMisfit();
      return {
        keys: Object.keys(json),
        values: Object.values(json).map((value) => convert(schema.values, column.value, value)),
      };
    case 'union':
    case 'none':
      throw new JsonMisfit();
    default: {
      if (!isPrimitive(column)) throw new JsonMisfit();
      const digits = jsonDigits(json);
      if (digits === undefined && typeof json !== 'string' && typeof json !== 'boolean') throw new JsonMisfit();
      const scalar = digits !== undefined ? { number: digits } : typeof json === 'string' ? { string: json } : json;
      return singleValueToJson(column, jsonSingleValue(schema, column, scalar as boolean));
    }
  }
}
