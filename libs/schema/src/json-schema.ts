/**
 * What a JSON Schema says about the shape of its values, and no more: references followed, allOf merged, constraints left
 * out. A finite tree: where a schema comes back to itself it is `any`. Null is allowed everywhere and not told apart.
 */
export type JsonSchema =
  /** Held as JSON text: open objects, mixed types, tuples, what recurs. */
  | { kind: 'any' }
  /** Never anything but null: no column. */
  | { kind: 'none' }
  | JsonLeaf
  | JsonObject
  | { kind: 'map'; values: JsonSchema }
  | { kind: 'array'; items: JsonSchema }
  | JsonUnion;

export type JsonLeaf =
  | { kind: 'boolean' | 'integer' | 'number' }
  /** A number that is a multiple of 10^-scale. */
  | { kind: 'decimal'; scale: number }
  | { kind: 'string'; format?: JsonFormat };

export type JsonFormat = 'date-time' | 'date' | 'time' | 'uuid' | 'base64';

/** Properties without a name in the schema (additionalProperties beside properties) have no column. */
export interface JsonObject {
  kind: 'object';
  properties: JsonProperty[];
}

export interface JsonProperty {
  name: string;
  schema: JsonSchema;
  doc?: string;
  /** As parseJson gives it: numbers that JavaScript would round are raw JSON. Absent = none. */
  default?: unknown;
}

/** oneOf or anyOf of objects that can be told apart. */
export interface JsonUnion {
  kind: 'union';
  branches: JsonBranch[];
}

export interface JsonBranch {
  name: string;
  object: JsonObject;
  /** The branch is there when the value has this property, with one of `values` where they are given. */
  property: string;
  values?: (string | number | boolean)[];
}

export type JsonPlain = Exclude<JsonSchema, JsonObject | JsonUnion | { kind: 'map' } | { kind: 'array' }>;
