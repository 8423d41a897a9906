import type { ColumnRef } from './avro-step.ts';
import { vectorKind } from './column.ts';
import { createJsonMarks } from './json-keys.ts';
import { constant, emitDefault, emitProperties, type JsonWriter } from './json-properties.ts';
import type { JsonObjectStep, JsonStep } from './json-step.ts';
import { decimalBytes } from './vector.ts';

/** Statements that read the step's value at p into row `n` (an expression); `depth` is how many objects and arrays it is in. */
export function emitJson(writer: JsonWriter, step: JsonStep, n: string, depth: number): string {
  switch (step.kind) {
    case 'leaf':
      return emitLeaf(writer, step, n);
    case 'text':
      if (step.column === undefined) return `p = skipValue(s, view, p, e, ${depth});`;
      return `p = readJson(s, view, p, e, c${step.column.index}, ${n}, ${depth});`;
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
    if (type.kind === 'binary') return call('readBase64');
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
else { ${emitProperties(writer, step, row, depth, emitJson)} }`;
  if (!writer.isSplit) return body;
  const name = `f${writer.next++}`;
  writer.functions.push(`function ${name}(s, p, e, n) {\n${body}\nreturn p; }`);
  return `p = ${name}(s, p, e, ${n});`;
}

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
const a${id} = p, k${id} = findBranches(${constant(writer, createJsonMarks(branches))}, s, view, p, e, ${depth});
let z${id} = 0;
${bodies.join('\n')}
p = z${id} === 0 ? skipValue(s, view, a${id}, e, ${depth}) : z${id};
${absent.map(({ column: lacking, json }) => emitDefault(writer, lacking, json, n)).join('\n')}
}`;
}
