import { badSchema, escapePointer, isObject, type JsonDocuments, type JsonNode, jsonDigits } from './json-documents.ts';

/** What several schemas that hold together (a schema, its $ref, its allOf) say about one value. */
export interface JsonFacts {
  place: string;
  /** False alone: no value at all. */
  never: boolean;
  /** The types that all of them allow; undefined: any. */
  types: ReadonlySet<string> | undefined;
  /** What they demand at once, where no value is of both. */
  contradiction: { place: string; types: string[][] } | undefined;
  /** Types that their other keywords are about. */
  hints: Set<string>;
  properties: Map<string, JsonNode[]>;
  /** Properties that only hold under a condition (if, dependentSchemas). */
  conditional: JsonNode[];
  required: Set<string>;
  /** Schemas of properties that have no name here. */
  additional: JsonNode[];
  patterns: number;
  closed: boolean;
  items: JsonNode[];
  tuple: boolean;
  /** One that decides about the column. */
  format: string | undefined;
  base64: boolean;
  multipleOf: string | undefined;
  /** enum and const. */
  values: unknown[] | undefined;
  /** oneOf and anyOf, as yet without what they mean. */
  choices: { branches: JsonNode[]; owner: object }[];
  doc: string | undefined;
  default: unknown;
  title: string | undefined;
  /** For a branch: what its $ref calls it. */
  reference: string | undefined;
  /** The objects that say something about what is in the value: their set is the same where a schema recurs. */
  structural: Set<object>;
  seen: Set<object>;
}

const TYPES = new Set(['null', 'boolean', 'integer', 'number', 'string', 'object', 'array']);
const FORMATS = new Set(['date-time', 'date', 'time', 'uuid']);
const HINTS: Record<string, readonly string[]> = {
  object: ['properties', 'patternProperties', 'minProperties', 'maxProperties', 'propertyNames'],
  array: ['items', 'prefixItems', 'contains', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['pattern', 'minLength', 'maxLength', 'contentEncoding', 'contentMediaType'],
  number: ['multipleOf', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
};

export const noFacts = (place: string): JsonFacts => ({
  place,
  never: false,
  types: undefined,
  contradiction: undefined,
  hints: new Set(),
  properties: new Map(),
  conditional: [],
  required: new Set(),
  additional: [],
  patterns: 0,
  closed: false,
  items: [],
  tuple: false,
  format: undefined,
  base64: false,
  multipleOf: undefined,
  values: undefined,
  choices: [],
  doc: undefined,
  default: undefined,
  title: undefined,
  reference: undefined,
  structural: new Set(),
  seen: new Set(),
});

/** The same facts once more, to be added to. */
export const copyFacts = (facts: JsonFacts, choices: JsonFacts['choices']): JsonFacts => ({
  ...facts,
  hints: new Set(facts.hints),
  properties: new Map(facts.properties),
  conditional: [...facts.conditional],
  required: new Set(facts.required),
  additional: [...facts.additional],
  items: [...facts.items],
  choices: [...choices],
  structural: new Set(facts.structural),
  seen: new Set(facts.seen),
});

export function factsOf(documents: JsonDocuments, nodes: readonly JsonNode[], place: string): JsonFacts {
  const facts = noFacts(place);
  for (const node of nodes) addFacts(documents, facts, node);
  return facts;
}

/** Adds what the schema at a node says. Throws `invalid` where it is no schema. */
export function addFacts(documents: JsonDocuments, facts: JsonFacts, node: JsonNode): void {
  const { json, place } = node;
  if (json === false) facts.never = true;
  if (typeof json === 'boolean') return;
  if (!isObject(json)) throw badSchema(place, `${JSON.stringify(json)} stands where a schema must be`);
  if (facts.seen.has(json)) return;
  facts.seen.add(json);
  const base = documents.baseOf(node);
  const at = (keyword: string, child: unknown): JsonNode => ({ json: child, base, place: `${place}/${keyword}` });
  facts.doc ??= text(json['description']);
  facts.title ??= text(json['title']);
  if (facts.default === undefined) facts.default = json['default'];
  if (documents.isReferenceAlone && typeof json['$ref'] === 'string') {
    addFacts(documents, facts, documents.resolve(json['$ref'], { ...node, json: {} }));
    return;
  }
  addType(facts, json, place);
  addObject(facts, json, place, at);
  addArray(facts, json, at);
  for (const keyword of ['oneOf', 'anyOf']) {
    if (json[keyword] === undefined) continue;
    const branches = list(json[keyword], `${place}/${keyword}`).map((branch, i) => at(`${keyword}/${i}`, branch));
    facts.choices.push({ branches, owner: json });
  }
  for (const keyword of ['$ref', '$recursiveRef', '$dynamicRef']) {
    const reference = json[keyword];
    if (typeof reference === 'string') addFacts(documents, facts, documents.resolve(reference, node));
  }
  if (json['allOf'] !== undefined)
    for (const [i, part] of list(json['allOf'], `${place}/allOf`).entries())
      addFacts(documents, facts, at(`allOf/${i}`, part));
}

type Json = Record<string, unknown>;
type At = (keyword: string, child: unknown) => JsonNode;

function addType(facts: JsonFacts, json: Json, place: string): void {
  const { type } = json;
  if (type !== undefined) {
    const given = Array.isArray(type) ? type : [type];
    for (const name of given)
      if (!TYPES.has(name as string))
        throw badSchema(`${place}/type`, `${JSON.stringify(name)} is none of ${[...TYPES].join(', ')}`);
    const names = new Set(given as string[]);
    if (names.has('number')) names.add('integer');
    const { types } = facts;
    facts.types = types === undefined ? names : new Set([...names].filter((name) => types.has(name)));
    if (facts.types.size === 0) facts.contradiction ??= { place, types: [[...types!], [...names]] };
  }
  for (const [hint, keywords] of Object.entries(HINTS))
    if (keywords.some((keyword) => json[keyword] !== undefined)) facts.hints.add(hint);
  const format = text(json['format']);
  if (FORMATS.has(format ?? '')) {
    facts.format ??= format;
    facts.hints.add('string');
  }
  if (/^base64(url)?$/i.test(text(json['contentEncoding']) ?? '')) facts.base64 = true;
  facts.multipleOf ??= jsonDigits(json['multipleOf']);
  const values = Object.hasOwn(json, 'const') ? [json['const']] : json['enum'];
  if (values !== undefined) {
    const known = facts.values?.map((value) => JSON.stringify(value));
    const given = list(values, `${place}/enum`);
    facts.values = known ? given.filter((value) => known.includes(JSON.stringify(value))) : given;
  }
}

function addObject(facts: JsonFacts, json: Json, place: string, at: At): void {
  const { properties, patternProperties: patterns, required } = json;
  if (properties !== undefined) {
    if (!isObject(properties)) throw badSchema(`${place}/properties`, 'it is no object');
    for (const [name, property] of Object.entries(properties)) {
      const node = at(`properties/${escapePointer(name)}`, property);
      facts.properties.set(name, [...(facts.properties.get(name) ?? []), node]);
      facts.structural.add(json);
    }
  }
  // In draft 3, and in many hands since, a property's own "required" is a boolean: it says nothing here.
  if (Array.isArray(required)) {
    facts.hints.add('object');
    for (const name of required) if (typeof name === 'string') facts.required.add(name);
  }
  if (isObject(patterns))
    for (const [pattern, schema] of Object.entries(patterns)) {
      facts.additional.push(at(`patternProperties/${escapePointer(pattern)}`, schema));
      facts.patterns++;
      facts.structural.add(json);
    }
  for (const keyword of ['additionalProperties', 'unevaluatedProperties']) {
    const schema = json[keyword];
    if (schema === false) facts.closed = true;
    if (!isObject(schema)) continue;
    facts.hints.add('object');
    if (Object.keys(schema).length === 0) continue;
    facts.additional.push(at(keyword, schema));
    facts.structural.add(json);
  }
  for (const keyword of ['then', 'else'])
    if (isObject(json[keyword])) facts.conditional.push(at(keyword, json[keyword]));
  for (const keyword of ['dependentSchemas', 'dependencies'])
    if (isObject(json[keyword]))
      for (const [name, schema] of Object.entries(json[keyword]))
        if (isObject(schema)) facts.conditional.push(at(`${keyword}/${escapePointer(name)}`, schema));
}

function addArray(facts: JsonFacts, json: Json, at: At): void {
  const { items, prefixItems } = json;
  if (Array.isArray(items) || prefixItems !== undefined) facts.tuple = true;
  else if (isObject(items) && Object.keys(items).length > 0) {
    facts.items.push(at('items', items));
    facts.structural.add(json);
  }
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

function list(value: unknown, place: string): unknown[] {
  if (!Array.isArray(value) || value.length === 0) throw badSchema(place, 'it must be a list with something in it');
  return value;
}
