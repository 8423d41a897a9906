import type { ColumnRef } from './avro-step.ts';
import { createJsonKeys } from './json-keys.ts';
import type { JsonField, JsonObjectStep, JsonStep } from './json-step.ts';

/** What the text of a decoder is gathered in. */
export interface JsonWriter {
  /** Variables that several functions share. */
  shared: string[];
  functions: string[];
  constants: unknown[];
  /** Objects become functions of their own: the decoder would be too large as one. */
  isSplit: boolean;
  next: number;
}

type EmitValue = (writer: JsonWriter, step: JsonStep, n: string, depth: number) => string;

export const constant = (writer: JsonWriter, value: unknown): string => `K[${writer.constants.push(value) - 1}]`;

// The optimising compiler gives up on huge functions.
const FIELDS_A_FUNCTION = 40;
const FIELDS_A_MASK = 30;

/**
 * Statements that read the properties of the object whose brace is at p. They mostly come in the order that is expected:
 * so the next one is compared with that, as numbers; what does not match is looked up. Two states a property: 2i "a name is
 * at p, expected is i", 2i + 1 "the value of i is at p"; behind them one for a name when none is expected, and one for
 * a value that nobody wants. Which properties were there is told by masks.
 */
export function emitProperties(
  writer: JsonWriter,
  step: JsonObjectStep,
  n: string,
  depth: number,
  emitValue: EmitValue,
): string {
  const { fields } = step;
  const id = writer.next++;
  const isWhole = !writer.isSplit || fields.length <= FIELDS_A_FUNCTION;
  const pieces = Math.ceil(fields.length / FIELDS_A_FUNCTION);
  const object: Properties = {
    state: `g${id}`,
    resume: `h${id}`,
    masks: Array.from({ length: Math.ceil(fields.length / FIELDS_A_MASK) }, (_, i) => `m${id}_${i}`),
    keys: constant(writer, createJsonKeys(fields.map(({ name }) => name))),
    last: 2 * (isWhole ? fields.length : pieces * FIELDS_A_FUNCTION),
    again: isWhole ? `continue o${id};` : 'return p;',
    end: isWhole ? `break o${id};` : `g${id} = -1; return p;`,
  };
  const { state, resume, masks, last } = object;
  const variables = [...masks, state, resume];
  const missing = masks.map((mask, at) =>
    emitMissing(writer, fields.slice(at * FIELDS_A_MASK, (at + 1) * FIELDS_A_MASK), mask, n),
  );
  const cases = fields.map((field, i) => emitProperty(object, field, i, emitValue(writer, field.step, n, depth + 1)));
  const rest = (leave: Properties) => `case ${last}:
${lookUp(leave, last)}
default:
p = skipValue(s, view, p, e, ${depth + 1});
${next(leave)}
${state} = ${resume};`;
  const start = variables.map((name) => `${name} = 0`);
  if (isWhole)
    return `let ${start.join(', ')};
if (s[++p] !== 34) p = firstName(s, p, e);
if (p < 0) p = ~p;
else o${id}: for (;;) switch (${state}) {
${cases.join('\n')}
${rest(object)}
}
${[...missing, ...absent(writer, step, n)].join('\n')}`;
  writer.shared.push(...variables);
  const functions = Array.from({ length: pieces }, (_, piece) => {
    const from = piece * FIELDS_A_FUNCTION;
    const own = cases.slice(from, from + FIELDS_A_FUNCTION).join('\n');
    const after = piece + 1 === pieces ? last : 2 * (from + FIELDS_A_FUNCTION);
    return shared(writer, `switch (${state}) {\n${own}\n}\n${state} = ${after};\nreturn p;`);
  });
  const other = shared(writer, `switch (${state}) {\n${rest(object)}\n}\nreturn p;`);
  return `${start.join('; ')};
if (s[++p] !== 34) p = firstName(s, p, e);
if (p < 0) p = ~p;
else while (${state} >= 0) switch (Math.floor(${state} / ${2 * FIELDS_A_FUNCTION})) {
${functions.map((name, piece) => `case ${piece}: p = ${name}(s, p, e, n); break;`).join('\n')}
default: p = ${other}(s, p, e, n);
}
${missing.map((text) => `p = ${shared(writer, `${text}\nreturn p;`)}(s, p, e, n);`).join('\n')}
${absent(writer, step, n).join('\n')}`;
}

interface Properties {
  state: string;
  resume: string;
  masks: string[];
  keys: string;
  last: number;
  /** Goes to where the state says. */
  again: string;
  /** Leaves the object. */
  end: string;
}

function shared(writer: JsonWriter, body: string): string {
  const name = `f${writer.next++}`;
  writer.functions.push(`function ${name}(s, p, e, n) {\n${body}\n}`);
  return name;
}

function emitProperty(object: Properties, { name }: JsonField, i: number, value: string): string {
  const mask = object.masks[Math.floor(i / FIELDS_A_MASK)]!;
  const bit = 1 << (i % FIELDS_A_MASK);
  return `case ${2 * i}:
if (${matches(name)}) p += ${Buffer.byteLength(name) + 3};
else { ${lookUp(object, 2 * i)} }
case ${2 * i + 1}:
if (${mask} & ${bit}) broken();
${mask} |= ${bit};
${value}
${next(object)}`;
}

const lookUp = ({ state, resume, keys, last, again }: Properties, from: number): string =>
  `${resume} = ${from}; ${state} = findKey(${keys}, s, p, e); p = place[0];
${state} = ${state} < 0 ? ${last + 1} : 2 * ${state} + 1; ${again}`;

const next = ({ end }: Properties): string => `if (s[p] === 44 && s[p + 1] === 34) p++;
else { p = nextName(s, p, e); if (p < 0) { p = ~p; ${end} } }`;

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

/** What a column has that the record lacks. */
export const emitDefault = (writer: JsonWriter, column: ColumnRef, json: unknown, n: string): string =>
  json === undefined
    ? `setNull(c${column.index}, ${n});`
    : `storeDefault(c${column.index}, ${n}, ${constant(writer, json)});`;

const absent = (writer: JsonWriter, step: JsonObjectStep, n: string): string[] =>
  step.absent.map(({ column, json }) => emitDefault(writer, column, json, n));
