import { MillraceError } from '@millrace/base';
import { badSchema, type JsonDocuments, openDocuments } from './json-documents.ts';
import { addFacts, copyFacts, factsOf, type JsonFacts } from './json-facts.ts';
import type { JsonFormat, JsonLeaf, JsonObject, JsonProperty, JsonSchema } from './json-schema.ts';
import { tellApart } from './json-union.ts';

const MAX_COLUMNS = 10_000;
const MAX_DEPTH = 100;

/** What one call of parseJsonSchema knows while it goes down the schema. */
interface Reading {
  documents: JsonDocuments;
  columns: number;
  names: Map<object, number>;
}

/**
 * Reads a JSON Schema's text (drafts 4 to 2020-12). `references`: the texts of schemas that it refers to, by the names that
 * it calls them. Keywords that only forbid values are left out, unknown ones and unknown formats ignored. Throws `invalid`
 * (code "json-schema") with the JSON pointer of what is wrong, `unsupported` for more columns or levels than a table has.
 */
export function parseJsonSchema(text: string, references: ReadonlyMap<string, string> = new Map()): JsonSchema {
  const documents = openDocuments(text, references);
  const { root } = documents;
  return schemaOf({ documents, columns: 0, names: new Map() }, factsOf(documents, [root], root.place), []);
}

function schemaOf(reading: Reading, facts: JsonFacts, within: string[], isBranch = false): JsonSchema {
  // A small schema can stand for exponentially many columns: objects that each use the next one twice.
  if (++reading.columns > MAX_COLUMNS || within.length > MAX_DEPTH)
    throw new MillraceError(
      'unsupported',
      `The JSON Schema has more than ${MAX_COLUMNS} columns, or ${MAX_DEPTH} levels, once its references are written out`,
      { code: 'too-many-columns', context: { pointer: facts.place } },
    );
  if (facts.never) return { kind: 'none' };
  const chosen = settle(reading, facts);
  if (facts.contradiction) {
    const [one, other] = facts.contradiction.types.map((types) => types.join(' or '));
    throw badSchema(facts.contradiction.place, `no value can be of the types ${one} and ${other} at once`);
  }
  if (facts.choices.length > 1) return { kind: 'any' };
  for (const { owner } of facts.choices) facts.structural.add(owner);
  const key = [...facts.structural]
    .map((object) => nameOf(reading, object))
    .sort()
    .join(' ');
  if (key !== '' && !isBranch && within.includes(key)) return { kind: 'any' };
  const path = [...within, key];
  if (chosen.length > 0) return choiceOf(reading, chosen, path);
  return plainOf(reading, facts, path);
}

// Null, and branches that only restrict, are taken out of oneOf and anyOf; a branch that is left alone is no choice.
// Answers the branches, each with all that holds beside them, of the choice that is left.
function settle(reading: Reading, facts: JsonFacts): JsonFacts[] {
  const { documents } = reading;
  for (let again = true; again; ) {
    again = false;
    for (const choice of [...facts.choices]) {
      const alone = choice.branches.map((branch) => ({ branch, facts: factsOf(documents, [branch], branch.place) }));
      const left = alone.filter(({ facts: own }) => !own.never && !isNull(own));
      if (left.length > 1 && !left.every(({ facts: own }) => onlyRestricts(own))) continue;
      facts.choices.splice(facts.choices.indexOf(choice), 1);
      if (left.length === 1) addFacts(documents, facts, left[0]!.branch);
      else if (left.length === 0 && alone.some(({ facts: own }) => isNull(own))) facts.types = new Set(['null']);
      again = true;
    }
  }
  if (facts.choices.length !== 1) return [];
  const [choice] = facts.choices;
  return choice!.branches.flatMap((branch) => {
    const own = factsOf(documents, [branch], branch.place);
    if (own.never || isNull(own)) return [];
    const whole = { ...copyFacts(facts, []), place: branch.place, title: undefined };
    addFacts(documents, whole, branch);
    if (whole.contradiction && !facts.contradiction) return [];
    return [{ ...whole, reference: referenceName(branch.json), title: own.title }];
  });
}

function referenceName(json: unknown): string | undefined {
  const reference = (json as { $ref?: unknown }).$ref;
  return typeof reference === 'string' ? /([^/#]+?)(\.json)?[/#]*$/.exec(reference)?.[1] : undefined;
}

function isNull(facts: JsonFacts): boolean {
  const types = facts.types ?? new Set(facts.values?.map(typeOfValue));
  return types.size === 1 && types.has('null');
}

const onlyRestricts = (facts: JsonFacts): boolean =>
  facts.types === undefined &&
  facts.values === undefined &&
  facts.properties.size === 0 &&
  facts.additional.length === 0 &&
  facts.items.length === 0 &&
  facts.choices.length === 0 &&
  !facts.tuple &&
  !facts.base64 &&
  facts.format === undefined;

function choiceOf(reading: Reading, branches: JsonFacts[], within: string[]): JsonSchema {
  const schemas = branches.map((facts) => schemaOf(reading, facts, within, true));
  const [first] = schemas;
  if (schemas.every((schema) => schema.kind === 'object')) {
    const union = tellApart(reading.documents, branches, schemas as JsonObject[]);
    if (union) return union;
  }
  const texts = new Set(schemas.map((schema) => JSON.stringify(schema)));
  if (texts.size === 1) return first!;
  if (schemas.every(({ kind }) => kind === 'string')) return { kind: 'string' };
  if (schemas.every(({ kind }) => kind === 'integer' || kind === 'number')) return { kind: 'number' };
  return { kind: 'any' };
}

function plainOf(reading: Reading, facts: JsonFacts, within: string[]): JsonSchema {
  const types = typesOf(facts);
  if (types.length === 0) return { kind: 'none' };
  if (types.length > 1) return { kind: 'any' };
  switch (types[0]) {
    case 'object':
      return objectOf(reading, facts, within);
    case 'array': {
      if (facts.tuple || facts.items.length === 0) return { kind: 'any' };
      const items = child(reading, facts.items, within);
      return items.kind === 'none' ? { kind: 'any' } : { kind: 'array', items };
    }
    default:
      return leafOf(facts, types[0]!);
  }
}

// Without null. Several, or none at all known, is ['any', 'any'].
function typesOf(facts: JsonFacts): string[] {
  const { types: given, values } = facts;
  let types = given && [...given];
  if (values !== undefined) {
    const found = new Set(values.map(typeOfValue));
    if (found.has('number')) found.delete('integer');
    types =
      types === undefined
        ? [...found]
        : types.filter((type) => found.has(type) || (type === 'number' && found.has('integer')));
    if (types.length === 0 && !found.has('null')) types = given && [...given];
  }
  if (types === undefined && facts.hints.size === 1) types = [...facts.hints];
  if (types === undefined) return ['any', 'any'];
  const others = types.filter((type) => type !== 'null');
  return others.includes('number') ? others.filter((type) => type !== 'integer') : others;
}

function typeOfValue(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  if (typeof value === 'object') return 'rawJSON' in value ? 'number' : 'object';
  return typeof value;
}

function leafOf(facts: JsonFacts, type: string): JsonLeaf {
  if (type === 'string') {
    const format = facts.base64 ? 'base64' : (facts.format as JsonFormat | undefined);
    return format === undefined ? { kind: 'string' } : { kind: 'string', format };
  }
  const scale = type === 'number' && facts.multipleOf !== undefined ? powerOfTen(facts.multipleOf) : undefined;
  return scale === undefined ? { kind: type as 'boolean' | 'integer' | 'number' } : { kind: 'decimal', scale };
}

// s of 10^-s, for s from 0 to 38.
function powerOfTen(digits: string): number | undefined {
  const match = /^(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(digits);
  if (!match) return undefined;
  const all = (match[1]! + (match[2] ?? '')).replace(/^0+/, '');
  const trimmed = all.replace(/0+$/, '');
  const scale = (match[2] ?? '').length - Number(match[3] ?? 0) - (all.length - trimmed.length);
  return trimmed === '1' && scale >= 0 && scale <= 38 ? scale : undefined;
}

function objectOf(reading: Reading, facts: JsonFacts, within: string[]): JsonSchema {
  const { documents } = reading;
  const conditional = conditionalOf(documents, facts);
  if (facts.properties.size === 0 && conditional.size === 0) {
    // Keys that fit no pattern may be there too, with anything in them, unless they are forbidden.
    const one = facts.additional.length === 1 && (facts.patterns === 0 || facts.closed);
    if (!one) return { kind: 'any' };
    const values = child(reading, facts.additional, within);
    return values.kind === 'none' ? { kind: 'any' } : { kind: 'map', values };
  }
  const properties: JsonProperty[] = [];
  for (const [name, nodes] of facts.properties) {
    const place = nodes[0]!.place;
    const own = factsOf(documents, nodes, place);
    const { doc, default: fallback } = own;
    add(properties, name, place, schemaOf(reading, own, within), doc, fallback);
  }
  for (const [name, variants] of conditional) {
    const schemas = variants.map((node) => child(reading, [node], within));
    const same = new Set(schemas.map((schema) => JSON.stringify(schema))).size === 1;
    add(properties, name, variants[0]!.place, same ? schemas[0]! : { kind: 'any' });
  }
  checkNames(properties, facts.place);
  return properties.length === 0 ? { kind: 'any' } : { kind: 'object', properties };
}

const child = (reading: Reading, nodes: JsonFacts['items'], within: string[]): JsonSchema =>
  schemaOf(reading, factsOf(reading.documents, nodes, nodes[0]!.place), within);

function add(
  properties: JsonProperty[],
  name: string,
  place: string,
  schema: JsonSchema,
  doc?: string,
  fallback?: unknown,
): void {
  if (schema.kind === 'none') return;
  if (name === '')
    throw new MillraceError('unsupported', `The JSON Schema has a property without a name at ${place}: name it`, {
      code: 'column-name',
      context: { pointer: place },
    });
  properties.push({
    name,
    schema,
    ...(doc === undefined ? {} : { doc }),
    ...(fallback === undefined || fallback === null ? {} : { default: fallback }),
  });
}

// Properties that are named only under conditions: then, else, dependentSchemas.
function conditionalOf(documents: JsonDocuments, facts: JsonFacts): Map<string, JsonFacts['conditional']> {
  const found = new Map<string, JsonFacts['conditional']>();
  for (const node of facts.conditional)
    for (const [name, nodes] of factsOf(documents, [node], node.place).properties)
      if (!facts.properties.has(name)) found.set(name, [...(found.get(name) ?? []), ...nodes]);
  return found;
}

// Delta and most engines do not tell upper from lower case.
function checkNames(properties: JsonProperty[], place: string): void {
  const seen = new Map<string, string>();
  for (const { name } of properties) {
    const other = seen.get(name.toLowerCase());
    if (other !== undefined)
      throw new MillraceError(
        'unsupported',
        `The JSON Schema has the properties "${other}" and "${name}" at ${place}, one column name to engines that ignore case: rename one of them`,
        { code: 'column-name-clash', context: { pointer: place } },
      );
    seen.set(name.toLowerCase(), name);
  }
}

function nameOf(reading: Reading, object: object): number {
  const name = reading.names.get(object) ?? reading.names.size;
  reading.names.set(object, name);
  return name;
}
