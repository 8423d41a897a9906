import { MillraceError } from '@millrace/base';

/** A place in a schema: the JSON there, and what its own $id is relative to. */
export interface JsonNode {
  json: unknown;
  base: string;
  /** Its JSON pointer, after the document's name where that is not the schema itself. */
  place: string;
}

/** The documents that a schema is made of, with every $id and anchor in them. */
export interface JsonDocuments {
  root: JsonNode;
  /** What a $ref in the schema at `from` leads to. Throws `invalid` when that is nowhere. */
  resolve(reference: string, from: JsonNode): JsonNode;
  /** What relative references in the schema at a node start from. */
  baseOf(node: JsonNode): string;
  /** Up to draft 7 nothing counts beside a $ref. Without a $schema it does: the newer meaning. */
  isReferenceAlone: boolean;
}

type Json = Record<string, unknown>;

const MAX_TEXT = 4 * 1024 * 1024;
const MAX_DEPTH = 200;
const REFERENCES = 'x-millrace-references';
// Has no other meaning than to make relative names comparable.
const NO_BASE = 'schema:///';

const OF_SCHEMAS = ['allOf', 'anyOf', 'oneOf', 'prefixItems', 'items'];
const MAPS = ['properties', 'patternProperties', 'definitions', '$defs', 'dependentSchemas', 'dependencies'];
const SCHEMAS = [
  ...['items', 'additionalItems', 'unevaluatedItems', 'contains', 'additionalProperties', 'unevaluatedProperties'],
  ...['propertyNames', 'not', 'if', 'then', 'else', 'contentSchema'],
];

export const badSchema = (place: string, reason: string): MillraceError =>
  new MillraceError('invalid', `The JSON Schema is not valid at ${place}: ${reason}`, {
    code: 'json-schema',
    context: { pointer: place },
  });

/** JSON text, with numbers that JavaScript would write otherwise kept as raw JSON. Throws `invalid` (code "json-schema"). */
export function parseJson(text: string, place = '#'): unknown {
  if (text.length > MAX_TEXT) throw badSchema(place, `its text has ${text.length} characters, more than ${MAX_TEXT}`);
  try {
    return JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown);
  } catch (cause) {
    throw badSchema(place, cause instanceof RangeError ? 'it is nested too deep' : (cause as Error).message);
  }
}

const raw = JSON as unknown as {
  rawJSON(text: string): { rawJSON: string };
  isRawJSON(value: unknown): value is { rawJSON: string };
};

function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source;
  return typeof value === 'number' && source !== undefined && String(value) !== source ? raw.rawJSON(source) : value;
}

/** The digits of a number that parseJson gave; undefined for anything else. */
export const jsonDigits = (value: unknown): string | undefined =>
  typeof value === 'number' ? String(value) : raw.isRawJSON(value) ? value.rawJSON : undefined;

/**
 * One schema text that stands for itself: the schemas that it refers to, by the names that it calls them, are written
 * into it. parseJsonSchema understands it.
 */
export function bundleJsonSchema(text: string, references: ReadonlyMap<string, string>): string {
  const root = parseJson(text);
  if (references.size === 0 || !isObject(root)) return text;
  const parts = [...references].map(([name, reference]) => {
    parseJson(reference, name);
    return `${JSON.stringify(name)}:${reference}`;
  });
  const rest = text.slice(text.indexOf('{') + 1);
  return `{${JSON.stringify(REFERENCES)}:{${parts.join(',')}}${Object.keys(root).length === 0 ? '' : ','}${rest}`;
}

/** Reads a schema and the schemas that it refers to by name. */
export function openDocuments(text: string, references: ReadonlyMap<string, string>): JsonDocuments {
  const json = parseJson(text);
  const known = new Map<string, JsonNode>();
  const draft4 = isDraft4(json);
  const base = baseOf(json, NO_BASE, draft4);
  const root = { json, base: NO_BASE, place: '#' };
  known.set(base, root);
  known.set(NO_BASE, root);
  const bundled = isObject(json) && isObject(json[REFERENCES]) ? Object.entries(json[REFERENCES]) : [];
  const named = [...references].map(([name, reference]): [string, unknown] => [name, parseJson(reference, name)]);
  for (const [name, document] of [...bundled, ...named]) {
    const uri = withoutFragment(resolveUri(name, base));
    const node = { json: document, base: uri, place: `${name}#` };
    known.set(uri, node);
    known.set(withoutFragment(name), node);
    collect(known, node, draft4, 0);
  }
  collect(known, root, draft4, 0);
  return {
    root,
    resolve: (reference, from) => resolve(known, reference, baseOf(from.json, from.base, draft4), from.place, draft4),
    baseOf: (node) => baseOf(node.json, node.base, draft4),
    isReferenceAlone: isObject(json) && /draft-0[4-7]/.test(String(json['$schema'])),
  };
}

function resolve(
  known: Map<string, JsonNode>,
  reference: string,
  base: string,
  place: string,
  draft4: boolean,
): JsonNode {
  const uri = resolveUri(reference, base);
  const whole = known.get(uri) ?? known.get(reference);
  if (whole) return whole;
  const [document, fragment = ''] = split(uri);
  const start = known.get(document) ?? known.get(withoutFragment(reference));
  const found =
    start && (fragment === '' ? start : fragment.startsWith('/') ? follow(start, fragment, draft4) : undefined);
  if (found) return found;
  // A schema of schemas says nothing about columns.
  if (/^https?:\/\/json-schema\.org\/[\w/-]+$/.test(document)) return { json: true, base: document, place: document };
  throw badSchema(
    place,
    `its $ref ${JSON.stringify(reference)} leads nowhere: what it names must be in the schema or among its references in the registry`,
  );
}

function follow(start: JsonNode, pointer: string, draft4: boolean): JsonNode | undefined {
  let { json, base } = start;
  for (const part of pointer.slice(1).split('/')) {
    const key = decode(part).replaceAll('~1', '/').replaceAll('~0', '~');
    if (!(isObject(json) || Array.isArray(json)) || !Object.hasOwn(json, key)) return undefined;
    base = baseOf(json, base, draft4);
    json = (json as Json)[key];
  }
  return { json, base, place: `${start.place}${pointer}` };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Every $id, id (draft 4) and anchor in the places where the specifications have schemas.
function collect(known: Map<string, JsonNode>, node: JsonNode, draft4: boolean, depth: number): void {
  const { json, place } = node;
  if (!isObject(json)) return;
  if (depth > MAX_DEPTH) throw badSchema(place, `it is nested deeper than ${MAX_DEPTH} levels`);
  const base = baseOf(json, node.base, draft4);
  const id = json['$id'] ?? (draft4 ? json['id'] : undefined);
  if (typeof id === 'string') note(known, resolveUri(id, node.base), node);
  for (const keyword of ['$anchor', '$dynamicAnchor']) {
    const anchor = json[keyword];
    if (typeof anchor === 'string') note(known, `${base}#${anchor}`, node);
  }
  const below = (at: string, child: unknown) =>
    collect(known, { json: child, base, place: `${place}/${at}` }, draft4, depth + 1);
  for (const keyword of SCHEMAS) below(keyword, json[keyword]);
  for (const keyword of OF_SCHEMAS) {
    const list = json[keyword];
    if (Array.isArray(list)) for (const [at, child] of list.entries()) below(`${keyword}/${at}`, child);
  }
  for (const keyword of MAPS) {
    const map = json[keyword];
    if (isObject(map))
      for (const [name, child] of Object.entries(map)) below(`${keyword}/${escapePointer(name)}`, child);
  }
}

function note(known: Map<string, JsonNode>, uri: string, node: JsonNode): void {
  const [document, fragment] = split(uri);
  const key = fragment ? uri : document;
  if (!known.has(key)) known.set(key, node);
}

function baseOf(json: unknown, base: string, draft4: boolean): string {
  if (!isObject(json)) return base;
  const id = json['$id'] ?? (draft4 ? json['id'] : undefined);
  return typeof id === 'string' && !id.startsWith('#') ? withoutFragment(resolveUri(id, base)) : base;
}

const isDraft4 = (json: unknown): boolean =>
  isObject(json) && typeof json['$schema'] === 'string' && json['$schema'].includes('draft-04');

function resolveUri(reference: string, base: string): string {
  return URL.canParse(reference, base) ? new URL(reference, base).href : reference;
}

function split(uri: string): [string, string?] {
  const at = uri.indexOf('#');
  return at < 0 ? [uri] : [uri.slice(0, at), uri.slice(at + 1)];
}

const withoutFragment = (uri: string): string => split(uri)[0];

/** A name as a part of a JSON pointer (RFC 6901). */
export const escapePointer = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !raw.isRawJSON(value);
