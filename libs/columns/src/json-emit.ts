import type { ColumnRef } from './avro-step.ts';
import { vectorKind } from './column.ts';
import { createJsonKeys, createJsonMarks } from './json-keys.ts';
import type { JsonField, JsonObjectStep, JsonStep } from './json-step.ts';
import { decimalBytes } from './vector.ts';

/** What the text of a decoder is gathered in. */
export interface JsonWriter {
  functions: string[];
  constants: unknown[];
  /** Objects become functions of their own: the decoder would be too large as one. */
  isSplit: boolean;
  next: number;
}

const constant = (writer: JsonWriter, value: unknown): string => `K[${writer.constants.push(value) - 1}]`;

/** Statements that read the step's value at p into row `n` (an expression); `depth` is how many objects and arrays it is in. */
export function emitJson(writer: JsonWriter, step: JsonStep, n: string, depth: number): string {
  switch (step.kind) {
    case 'leaf':
      return emitLeaf(writer, step, n);
    case 'text':
      if (step.column === undefined) return `p = skipValue(s, p, e, ${depth});`;
      return `p = readJson(s, p, e, c${step.column.index}, ${n}, ${depth});`;
    case 'object':
      return emitObject(writer, step, n, depth);
    case 'list':
      return emitList(writer, step, n, depth);
    case 'map':
      return emitMap(writer, step, n, depth);
    case 'union':
      return emitUnion(writer, step, n, depth);
  }
}

function emitLeaf(writer: JsonWriter, { column, leaf }: JsonStep & { kind: 'leaf' }, n: string): string {
  const { type, index } = column;
  const call = (name: string, ...more: string[]) => `p = ${[`${name}(s, p, e, c${index}`, n, ...more].join(', ')});`;
  if (leaf.kind === 'boolean') return call('readBoolean');
  if (leaf.kind === 'string') {
    if (type.kind === 'string') return `p = readText(s, view, p, e, c${index}, ${n});`;
    if (type.kind === 'timestamp') return call('readInstant');
    if (type.kind === 'date') return call('readDate');
    if (vectorKind(type) === 'int64') return call('readTime');
    return call('readFormat', constant(writer, leaf));
  }
  if (type.kind === 'long') return call('readInteger');
  if (type.kind === 'double') return call('readDouble');
  if (type.kind === 'decimal' && type.precision > 18)
    return call(
      'readWideDecimal',
      `${type.precision}, ${type.scale}, ${decimalBytes(type.precision)}`,
      constant(writer, leaf),
    );
  return call('readNumber', constant(writer, leaf));
}

const orNull = (column: ColumnRef | undefined, n: string): string =>
  `p = readNull(s, p, ${column === undefined ? 'undefined' : `c${column.index}`}, ${n});`;

function emitObject(writer: JsonWriter, step: JsonObjectStep, n: string, depth: number): string {
  const row = writer.isSplit ? 'n' : n;
  const body = `if (s[p] <= 32) p = space(s, p, e);
if (s[p] !== 123) { ${orNull(step.column, row)} }
else { ${emitProperties(writer, step, row, depth)} }`;
  if (!writer.isSplit) return body;
  const name = `f${writer.next++}`;
  writer.functions.push(`function ${name}(s, p, e, n) {\n${body}\nreturn p; }`);
  return `p = ${name}(s, p, e, ${n});`;
}

// Properties mostly come in the schema's order. So the next one is compared with what is expected, as words; what does
// not match is looked up. Two states a property: 2i "a name is at p, expected is i", 2i + 1 "the value of i is at p".
function emitProperties(writer: JsonWriter, step: JsonObjectStep, n: string, depth: number): string {
  const { fields } = step;
  const id = writer.next++;
  const [label, state, resume] = [`o${id}`, `g${id}`, `h${id}`];
  const masks = Array.from({ length: Math.ceil(fields.length / 30) }, (_, i) => `m${id}_${i}`);
  const maskOf = (i: number) => masks[Math.floor(i / 30)]!;
  const keys = constant(writer, createJsonKeys(fields.map(({ name }) => name)));
  const last = 2 * fields.length;
  const lookUp = (i: number) =>
    `${resume} = ${2 * i}; ${state} = findKey(${keys}, s, p, e); p = place[0];
${state} = ${state} < 0 ? ${last + 1} : 2 * ${state} + 1; continue ${label};`;
  const next = `if (s[p] === 44 && s[p + 1] === 34) p++;
else { p = nextName(s, p, e); if (p < 0) { p = ~p; break ${label}; } }`;
  const cases = fields.map(
    ({ name, step: inner }, i) => `case ${2 * i}:
if (${matches(name)}) p += ${Buffer.byteLength(name) + 3};
else { ${lookUp(i)} }
case ${2 * i + 1}:
if (${maskOf(i)} & ${1 << (i % 30)}) broken();
${maskOf(i)} |= ${1 << (i % 30)};
${emitJson(writer, inner, n, depth + 1)}
${next}`,
  );
  return `let ${[...masks, state, resume].map((name) => `${name} = 0`).join(', ')};
if (s[++p] !== 34) p = firstName(s, p, e);
if (p < 0) p = ~p;
else ${label}: for (;;) switch (${state}) {
${cases.join('\n')}
case ${last}:
${lookUp(fields.length)}
default:
p = skipValue(s, p, e, ${depth + 1});
${next}
${state} = ${resume};
}
${masks.map((mask, at) => emitMissing(writer, fields.slice(at * 30, at * 30 + 30), mask, n)).join('\n')}
${step.absent.map(({ column, json }) => emitDefault(writer, column, json, n)).join('\n')}`;
}

/**
 * Whether `"name":` is at p, compared as numbers: eight bytes as a double, which are equal only to themselves (a name that
 * happens to be NaN is found by looking it up), else four as an integer.
 */
function matches(name: string): string {
  const bytes = Buffer.from(`"${name}":`);
  const parts = [`e - p >= ${bytes.length}`];
  for (let at = 0; at < bytes.length; ) {
    const size = bytes.length >= 8 && bytes.length - at > 4 ? 8 : 4;
    const from = Math.min(at, bytes.length - size);
    if (size === 8) parts.push(`view.getFloat64(p + ${from}, true) === ${bytes.readDoubleLE(from)}`);
    else parts.push(`view.getInt32(p + ${from}, true) === ${bytes.readInt32LE(from)}`);
    at = from + size;
  }
  // A name that JSON must escape is only found by looking it up.
  return JSON.stringify(name) === `"${name}"` ? parts.join(' && ') : 'false';
}

function emitMissing(writer: JsonWriter, fields: JsonField[], mask: string, n: string): string {
  const all = 2 ** fields.length - 1;
  const parts = fields.map(
    ({ column, default: json }, i) => `if (!(${mask} & ${1 << i})) ${emitDefault(writer, column, json, n)}`,
  );
  return `if (${mask} !== ${all}) {\n${parts.join('\n')}\n}`;
}

const emitDefault = (writer: JsonWriter, column: ColumnRef, json: unknown, n: string): string =>
  json === undefined
    ? `setNull(c${column.index}, ${n});`
    : `storeDefault(c${column.index}, ${n}, ${constant(writer, json)});`;

function emitList(writer: JsonWriter, step: JsonStep & { kind: 'list' }, n: string, depth: number): string {
  const { column, item } = step;
  const id = writer.next++;
  const domain = `d${column.index}`;
  return `if (s[p] <= 32) p = space(s, p, e);
if (s[p] !== 91) { ${orNull(column, n)} }
else {
const a${id} = ${domain}.length;
if (s[++p] <= 32) p = space(s, p, e);
if (s[p] === 93) p++;
else for (;;) {
if (${domain}.length === ${domain}.capacity) reserve(${domain}, 1);
const n${id} = ${domain}.length++;
${emitJson(writer, item, `n${id}`, depth + 1)}
if (s[p] === 44 && p < e) p++;
else { p = nextItem(s, p, e); if (p < 0) { p = ~p; break; } }
}
c${column.index}.lengths[${n}] = ${domain}.length - a${id};
}`;
}

function emitMap(writer: JsonWriter, step: JsonStep & { kind: 'map' }, n: string, depth: number): string {
  const { column, key, value } = step;
  const id = writer.next++;
  const domain = `d${column.index}`;
  return `if (s[p] <= 32) p = space(s, p, e);
if (s[p] !== 123) { ${orNull(column, n)} }
else {
const a${id} = ${domain}.length;
if (s[++p] !== 34) p = firstName(s, p, e);
if (p < 0) p = ~p;
else for (;;) {
if (${domain}.length === ${domain}.capacity) reserve(${domain}, 1);
const n${id} = ${domain}.length++;
p = readText(s, view, p, e, c${key.index}, n${id});
if (s[p] === 58) p++;
else p = colon(s, p, e);
${emitJson(writer, value, `n${id}`, depth + 1)}
if (s[p] === 44 && s[p + 1] === 34) p++;
else { p = nextName(s, p, e); if (p < 0) { p = ~p; break; } }
}
const k${id} = ${domain}.length - a${id};
c${column.index}.lengths[${n}] = k${id};
if (k${id} > 1) checkKeys(c${key.index}, s, a${id}, k${id});
}`;
}

function emitUnion(writer: JsonWriter, step: JsonStep & { kind: 'union' }, n: string, depth: number): string {
  const { column, branches, absent } = step;
  const id = writer.next++;
  const bodies = branches.map(({ object }, i) =>
    object === undefined
      ? ''
      : `if (k${id} & ${1 << i}) {
p = a${id};
${emitObject(writer, object, n, depth)}
z${id} = p;
} else setNull(c${object.column.index}, ${n});`,
  );
  return `if (s[p] <= 32) p = space(s, p, e);
if (s[p] !== 123) { ${orNull(column, n)} }
else {
const a${id} = p, k${id} = findBranches(${constant(writer, createJsonMarks(branches))}, s, p, e, ${depth});
let z${id} = 0;
${bodies.join('\n')}
p = z${id} === 0 ? skipValue(s, a${id}, e, ${depth}) : z${id};
${absent.map(({ column: lacking, json }) => emitDefault(writer, lacking, json, n)).join('\n')}
}`;
}
