import { MillraceError } from '@millrace/base';
import {
  type AvroEnum,
  type AvroField,
  type AvroFixed,
  type AvroLogical,
  type AvroPrimitive,
  type AvroRecord,
  type AvroType,
  branchName,
} from './avro-schema.ts';

const PRIMITIVES = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string']);
// Letters beyond ASCII as Avro 1.12's own default validator allows them.
const NAME = /^[\p{L}_][\p{L}\p{N}_]*$/u;
const MAX_TEXT = 4 * 1024 * 1024;
const MAX_DEPTH = 100;
const MAX_FIXED_BYTES = 1024 * 1024;

type Json = Record<string, unknown>;

interface Parser {
  named: Map<string, AvroType>;
  depth: number;
}

/**
 * Reads an Avro schema's JSON text (specification 1.12). `references` are texts whose named types it may use, each after
 * those that it needs itself. An unknown or malformed logical type is ignored, as the specification demands. Text longer
 * than 4 MB or nested deeper than 100 levels is refused. Throws `invalid` (code "avro-schema") naming the place.
 */
export function parseAvroSchema(text: string, references: Iterable<string> = []): AvroType {
  const parser: Parser = { named: new Map(), depth: 0 };
  for (const reference of references) parseType(parser, parseJson(reference), '', 'a referenced schema');
  return parseType(parser, parseJson(text), '', 'the schema');
}

function parseJson(text: string): unknown {
  if (text.length > MAX_TEXT) throw bad(`its text has ${text.length} characters, more than ${MAX_TEXT}`);
  try {
    return JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown);
  } catch (cause) {
    // Some registries and files hold a bare name: string without quotes.
    if (PRIMITIVES.has(text.trim())) return text.trim();
    throw bad(`it is not JSON: ${(cause as Error).message}`);
  }
}

// A default of a long may be a number that JavaScript would round: its digits are kept as text.
function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  const rounded = typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value);
  return rounded && context?.source !== undefined && /^-?\d+$/.test(context.source) ? context.source : value;
}

function parseType(parser: Parser, json: unknown, namespace: string, place: string): AvroType {
  if (parser.depth >= MAX_DEPTH) throw bad(`${place} is nested deeper than ${MAX_DEPTH} levels`);
  parser.depth++;
  try {
    if (typeof json === 'string') return parseName(parser, json, namespace, place);
    if (Array.isArray(json)) return parseUnion(parser, json, namespace, place);
    if (typeof json !== 'object' || json === null) throw bad(`${place} is ${JSON.stringify(json)}, not a type`);
    return parseObject(parser, json as Json, namespace, place);
  } finally {
    parser.depth--;
  }
}

function parseName(parser: Parser, name: string, namespace: string, place: string): AvroType {
  if (PRIMITIVES.has(name)) return { kind: name } as AvroPrimitive;
  const known =
    parser.named.get(name.includes('.') || !namespace ? name : `${namespace}.${name}`) ?? parser.named.get(name);
  if (!known) throw bad(`${place} names the type ${quote(name)}, which is not defined before it`);
  return known;
}

function parseUnion(parser: Parser, json: unknown[], namespace: string, place: string): AvroType {
  const seen = new Set<string>();
  const branches = json.map((item, at) => {
    const branch = parseType(parser, item, namespace, `branch ${at} of ${place}`);
    if (branch.kind === 'union') throw bad(`branch ${at} of ${place} is itself a union`);
    const name = branchName(branch);
    if (seen.has(name)) throw bad(`${place} has the type ${quote(name)} twice in a union`);
    seen.add(name);
    return branch;
  });
  if (branches.length === 0) throw bad(`${place} is a union without branches`);
  return { kind: 'union', branches };
}

function parseObject(parser: Parser, json: Json, namespace: string, place: string): AvroType {
  const type = own(json, 'type');
  // {"type": {"type": "int", …}} and {"type": ["null", …]} are seen in the wild, and Avro's own parsers accept them.
  if (typeof type !== 'string') {
    if (type === undefined) throw bad(`${place} has no "type"`);
    return parseType(parser, type, namespace, place);
  }
  switch (type) {
    case 'record':
    case 'error':
      return parseRecord(parser, json, namespace, place);
    case 'enum':
      return parseEnum(parser, json, namespace, place);
    case 'fixed':
      return parseFixed(parser, json, namespace, place);
    case 'array':
      return { kind: 'array', items: parseType(parser, own(json, 'items'), namespace, `the items of ${place}`) };
    case 'map':
      return { kind: 'map', values: parseType(parser, own(json, 'values'), namespace, `the values of ${place}`) };
    default: {
      const named = parseName(parser, type, namespace, place);
      if (!PRIMITIVES.has(type)) return named;
      const logical = parseLogical(json, type);
      return logical ? { kind: (named as AvroPrimitive).kind, logical } : named;
    }
  }
}

function parseRecord(parser: Parser, json: Json, around: string, place: string): AvroRecord {
  const { namespace, ...head } = parseHead(json, around, place);
  const record: AvroRecord = { kind: 'record', ...head, fields: [] };
  define(parser, record, place);
  const fields = own(json, 'fields');
  if (!Array.isArray(fields)) throw bad(`record ${quote(head.fullName)} has no "fields" list`);
  const names = new Set<string>();
  for (const [at, item] of fields.entries()) {
    const field = parseField(parser, item, namespace, `field ${at} of ${quote(head.fullName)}`);
    if (names.has(field.name)) throw bad(`record ${quote(head.fullName)} has the field ${quote(field.name)} twice`);
    names.add(field.name);
    record.fields.push(field);
  }
  return record;
}

function parseField(parser: Parser, json: unknown, namespace: string, place: string): AvroField {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw bad(`${place} is not an object`);
  const name = own(json as Json, 'name');
  if (typeof name !== 'string' || !NAME.test(name)) throw bad(`${place} has the illegal name ${quote(name)}`);
  const here = `${place} (${quote(name)})`;
  const written = own(json as Json, 'default');
  return {
    name,
    type: parseFieldType(parser, json as Json, namespace, here),
    ...notes(json as Json, (alias) => (NAME.test(alias) ? alias : undefined)),
    ...(written === undefined ? {} : { default: written }),
  };
}

// {"name": "t", "type": "long", "logicalType": "timestamp-millis"}: misplaced, and ignored by Avro's own parsers too.
function parseFieldType(parser: Parser, json: Json, namespace: string, place: string): AvroType {
  const type = own(json, 'type');
  if (type === undefined) throw bad(`${place} has no "type"`);
  if (type === 'record' || type === 'enum' || type === 'fixed' || type === 'array' || type === 'map')
    throw bad(`${place} has the type ${quote(type)} without a definition: write "type": {"type": ${quote(type)}, …}`);
  return parseType(parser, type, namespace, place);
}

function parseEnum(parser: Parser, json: Json, around: string, place: string): AvroEnum {
  const { namespace: _, ...head } = parseHead(json, around, place);
  const symbols = own(json, 'symbols');
  if (!Array.isArray(symbols) || !symbols.every((symbol) => typeof symbol === 'string'))
    throw bad(`enum ${quote(head.fullName)} has no "symbols" list of strings`);
  if (new Set(symbols).size !== symbols.length) throw bad(`enum ${quote(head.fullName)} has a symbol twice`);
  const fallback = own(json, 'default');
  const type: AvroEnum = {
    kind: 'enum',
    ...head,
    symbols,
    ...(typeof fallback === 'string' ? { default: fallback } : {}),
  };
  define(parser, type, place);
  return type;
}

function parseFixed(parser: Parser, json: Json, around: string, place: string): AvroFixed {
  const { namespace: _, ...head } = parseHead(json, around, place);
  const size = own(json, 'size');
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || size > MAX_FIXED_BYTES)
    throw bad(`fixed ${quote(head.fullName)} has the size ${quote(size)}; it must be 0 to ${MAX_FIXED_BYTES}`);
  const logical = parseLogical(json, 'fixed', size);
  const type: AvroFixed = { kind: 'fixed', ...head, size, ...(logical ? { logical } : {}) };
  define(parser, type, place);
  return type;
}

function parseHead(json: Json, around: string, place: string) {
  const name = own(json, 'name');
  if (typeof name !== 'string') throw bad(`${place} is a ${String(own(json, 'type'))} without a name`);
  const given = own(json, 'namespace');
  const dot = name.lastIndexOf('.');
  // A name with a dot is a full name, and "namespace" is ignored then.
  const namespace = dot >= 0 ? name.slice(0, dot) : typeof given === 'string' ? given : around;
  const fullName = namespace ? `${namespace}.${name.slice(dot + 1)}` : name.slice(dot + 1);
  if (!fullName.split('.').every((part) => NAME.test(part)))
    throw bad(`${place} has the illegal name ${quote(fullName)}`);
  return {
    namespace,
    fullName,
    ...notes(json, (alias) => (alias.includes('.') || !namespace ? alias : `${namespace}.${alias}`)),
  };
}

function notes(json: Json, alias: (name: string) => string | undefined): { doc?: string; aliases?: string[] } {
  const doc = own(json, 'doc');
  const listed = own(json, 'aliases');
  const aliases = Array.isArray(listed)
    ? listed.flatMap((item) => (typeof item === 'string' ? (alias(item) ?? []) : []))
    : [];
  return { ...(typeof doc === 'string' ? { doc } : {}), ...(aliases.length > 0 ? { aliases } : {}) };
}

function define(parser: Parser, type: AvroRecord | AvroEnum | AvroFixed, place: string): void {
  if (PRIMITIVES.has(type.fullName)) throw bad(`${place} takes the name of the primitive type ${quote(type.fullName)}`);
  if (parser.named.has(type.fullName)) throw bad(`the type ${quote(type.fullName)} is defined twice`);
  parser.named.set(type.fullName, type);
}

const LOGICAL_BASES: Record<string, string> = {
  date: 'int',
  'time-millis': 'int',
  'time-micros': 'long',
  'timestamp-millis': 'long',
  'timestamp-micros': 'long',
  'timestamp-nanos': 'long',
  'local-timestamp-millis': 'long',
  'local-timestamp-micros': 'long',
  'local-timestamp-nanos': 'long',
};

function parseLogical(json: Json, base: string, size = 0): AvroLogical | undefined {
  const name = own(json, 'logicalType');
  if (typeof name !== 'string') return undefined;
  if (name === 'decimal' && (base === 'bytes' || base === 'fixed')) {
    const precision = own(json, 'precision');
    const scale = own(json, 'scale') ?? 0;
    if (typeof precision !== 'number' || !Number.isInteger(precision) || precision < 1) return undefined;
    if (typeof scale !== 'number' || !Number.isInteger(scale) || scale < 0 || scale > precision) return undefined;
    // A fixed that can't hold the precision makes the logical type invalid.
    if (base === 'fixed' && precision > Math.floor((8 * size - 1) * Math.log10(2))) return undefined;
    return { kind: 'decimal', precision, scale };
  }
  if (name === 'uuid' && (base === 'string' || (base === 'fixed' && size === 16))) return { kind: 'uuid' };
  if (name === 'duration' && base === 'fixed' && size === 12) return { kind: 'duration' };
  if (Object.hasOwn(LOGICAL_BASES, name) && LOGICAL_BASES[name] === base) return { kind: name } as AvroLogical;
  return undefined;
}

const own = (json: Json, key: string): unknown => (Object.hasOwn(json, key) ? json[key] : undefined);
const quote = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 200);
const bad = (what: string) => new MillraceError('invalid', `Avro schema: ${what}`, { code: 'avro-schema' });
