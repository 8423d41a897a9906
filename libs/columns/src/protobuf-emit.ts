import type { ProtobufField } from '@millrace/schema';
import type { ColumnRef } from './avro-step.ts';
import { vectorKind } from './column.ts';
import { emitLength, emitScalar } from './protobuf-scalar.ts';
import type { FieldStep, MessageStep, ValueStep } from './protobuf-step.ts';
import { isPackable, wireTypeOf } from './protobuf-value.ts';

/** What the text of a decoder is gathered in. */
export interface ProtobufWriterText {
  /** The number of the domain of the list or map with this path. */
  domainOf(path: number[]): number;
  /** Statements that load a domain's arrays again after it has grown. */
  rebind(domain: number): string;
  /** The same for all domains. */
  rebindAll: string;
  /** Messages as functions of their own, with the arrays in variables of the closure. */
  split: boolean;
  functions: string[];
  constants: unknown[];
  /** Enum columns and the constants with their types. */
  enums: { column: number; type: number }[];
  next: number;
}

/** Where a message's bytes are: [p, end), or up to the end tag of its group within [p, end). */
interface Bounds {
  end: string;
  group?: number;
  /** How many messages are around it. */
  depth: number;
}

const SEEN_BITS = 31;

const constant = (writer: ProtobufWriterText, value: unknown): number => writer.constants.push(value) - 1;

/** Statements that read a message with its fields in any order and write it to row `n`; p is behind it afterwards. */
function emitMessage(writer: ProtobufWriterText, step: MessageStep, n: string, bounds: Bounds): string {
  if (!writer.split) return emitLoop(writer, step, n, bounds);
  const name = `f${writer.next++}`;
  const body = emitLoop(writer, step, 'n', { ...bounds, end: 'e' });
  writer.functions.push(`function ${name}(s, p, e, n) { let b = 0, k = 0, q = 0;\n${body}\nreturn p; }`);
  return `p = ${name}(s, p, ${bounds.end}, ${n});`;
}

/** One message's variables: what has been seen, which member of each oneof, how many elements of each list. */
interface Scope {
  id: number;
  n: string;
  bounds: Bounds;
  fields: FieldStep[];
  /** Singular fields that have a column: bit i of word i / 31. */
  singular: FieldStep[];
  repeated: FieldStep[];
  oneofs: string[];
}

function emitLoop(writer: ProtobufWriterText, step: MessageStep, n: string, bounds: Bounds): string {
  const id = writer.next++;
  const { fields } = step;
  const scope: Scope = {
    id,
    n,
    bounds,
    fields,
    singular: fields.filter(({ field, value }) => field.cardinality === 'singular' && value.kind !== 'skip'),
    repeated: fields.filter(({ field }) => field.cardinality !== 'singular'),
    oneofs: [...new Set(fields.flatMap(({ field }) => field.oneof ?? []))],
  };
  const words = Math.ceil(scope.singular.length / SEEN_BITS);
  const variables = [
    ...Array.from({ length: words }, (_, word) => `g${id}_${word} = 0`),
    ...scope.oneofs.map((_, at) => `o${id}_${at} = 0`),
    ...scope.repeated.map((_, at) => `c${id}_${at} = 0`),
  ];
  const cases = fields.map((field, at) => emitField(writer, scope, field, fields[at + 1]));
  const others = fields.flatMap((field) => emitOtherForm(writer, scope, field));
  const { end, group, depth } = bounds;
  const finish = group === undefined ? '' : `case ${(((group << 3) | 4) >>> 0) | 0}: break L${id};\n`;
  return `${variables.length === 0 ? '' : `let ${variables.join(', ')};`}
L${id}: for (;;) {
  ${group === undefined ? `if (p >= ${end}) break;` : `if (p >= ${end}) broken();`}
  k = s[p++];
  if (k > 127) { p = readTag(s, p - 1, ${end}); k = t[0]; }
  switch (k) {
${cases.join('\n')}
${others.join('\n')}
${finish}default: p = skipField(s, p, ${end}, k, ${depth});
  }
}
${emitEnd(writer, scope, step)}`;
}

const tagOf = (number: number, wireType: number): number => (number << 3) | wireType;

/** The tag that a field most likely has. */
const usualTag = (field: ProtobufField): number => tagOf(field.number, isPackable(field) ? 2 : wireTypeOf(field));

function varintBytes(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  return [...bytes, rest];
}

/** A condition that the tag stands at p, and its length. */
function tagAhead(tag: number, end: string): { test: string; length: number } {
  const bytes = varintBytes(tag);
  const room = bytes.length === 1 ? `p < ${end}` : `p < ${end} - ${bytes.length - 1}`;
  const test = bytes.map((byte, at) => `s[p${at === 0 ? '' : ` + ${at}`}] === ${byte}`);
  return { test: [room, ...test].join(' && '), length: bytes.length };
}

// Fields mostly come in the order of their numbers: where the next one does, its case is fallen into.
function emitField(writer: ProtobufWriterText, scope: Scope, step: FieldStep, next: FieldStep | undefined): string {
  const { field } = step;
  const { end } = scope.bounds;
  const label = `case ${usualTag(field)}:`;
  let body: string;
  if (field.cardinality === 'singular') body = emitSingular(writer, scope, step);
  else if (isPackable(field)) body = emitPacked(writer, scope, step);
  else {
    const again = tagAhead(usualTag(field), end);
    body = `for (;;) {\n${emitItem(writer, scope, step)}\nif (${again.test}) p += ${again.length}; else break; }`;
  }
  if (next === undefined) return `${label} {\n${body}\ncontinue; }`;
  const ahead = tagAhead(usualTag(next.field), end);
  return `${label} {\n${body}\nif (${ahead.test}) p += ${ahead.length}; else continue; }`;
}

// A list that may be packed also comes one value a tag.
function emitOtherForm(writer: ProtobufWriterText, scope: Scope, step: FieldStep): string[] {
  if (!isPackable(step.field)) return [];
  return [`case ${tagOf(step.field.number, wireTypeOf(step.field))}: {\n${emitItem(writer, scope, step)}\ncontinue; }`];
}

function emitSingular(writer: ProtobufWriterText, scope: Scope, step: FieldStep): string {
  const { field, value } = step;
  const parts: string[] = [];
  if (field.oneof !== undefined) {
    const member = `o${scope.id}_${scope.oneofs.indexOf(field.oneof)}`;
    parts.push(`if (${member} !== 0 && ${member} !== ${field.number}) redo(); ${member} = ${field.number};`);
  }
  if (value.kind === 'skip') {
    parts.push(
      `p = skipField(s, p, ${scope.bounds.end}, ${tagOf(field.number, wireTypeOf(field))}, ${scope.bounds.depth});`,
    );
    return parts.join('\n');
  }
  const at = scope.singular.indexOf(step);
  const [word, bit] = [`g${scope.id}_${Math.floor(at / SEEN_BITS)}`, 1 << (at % SEEN_BITS)];
  // A message that comes twice is merged.
  if (field.type.kind === 'message') parts.push(`if ((${word} & ${bit}) !== 0) redo();`);
  parts.push(`${word} |= ${bit};`, emitValue(writer, field, value, scope.n, scope.bounds));
  return parts.join('\n');
}

const countOf = (scope: Scope, step: FieldStep): string => `c${scope.id}_${scope.repeated.indexOf(step)}`;

/** One more row in a list's or map's domain, as a variable. */
function emitRow(writer: ProtobufWriterText, scope: Scope, step: FieldStep): { row: string; text: string } {
  const id = writer.domainOf(step.column!.path);
  const row = `n${writer.next++}`;
  return {
    row,
    text: `if (d${id}.length === d${id}.capacity) { reserve(d${id}, 1); ${writer.rebind(id)} }
const ${row} = d${id}.length++;
${countOf(scope, step)}++;`,
  };
}

function emitItem(writer: ProtobufWriterText, scope: Scope, step: FieldStep): string {
  const { row, text } = emitRow(writer, scope, step);
  if (step.field.cardinality === 'map') return `${text}\n${emitEntry(writer, scope, step, row)}`;
  return `${text}\n${emitValue(writer, step.field, step.value, row, scope.bounds)}`;
}

function emitPacked(writer: ProtobufWriterText, scope: Scope, step: FieldStep): string {
  const end = `e${writer.next++}`;
  const { row, text } = emitRow(writer, scope, step);
  return `${emitLength(scope.bounds.end)}
const ${end} = p + k;
while (p < ${end}) {
${text}
${emitValue(writer, step.field, step.value, row, { ...scope.bounds, end })}
}`;
}

function emitEntry(writer: ProtobufWriterText, scope: Scope, step: FieldStep, row: string): string {
  const { field, key, value } = step;
  const entry = (
    name: string,
    number: number,
    type: ProtobufField['type'],
    column: ColumnRef,
    inner: ValueStep,
  ): FieldStep => ({
    field: { name, jsonName: name, number, type, cardinality: 'singular', presence: 'implicit', delimited: false },
    column,
    value: inner,
  });
  const scalar = field.key!;
  const keyStep = entry('key', 1, { kind: 'scalar', scalar }, key!, { kind: 'scalar', column: key!, scalar });
  const columnOfValue =
    value.kind === 'message' ? (value.column ?? value.wrapper!) : (value as { column: ColumnRef }).column;
  const valueStep = entry('value', 2, field.type, columnOfValue, value);
  const end = `e${writer.next++}`;
  const { depth } = scope.bounds;
  return `${emitLength(scope.bounds.end)}
const ${end} = p + k;
${emitLoop(writer, { kind: 'message', fields: [keyStep, valueStep], absent: [] }, row, { end, depth })}`;
}

/** Statements that read one value at p, its tag already read, and write it to row `n`. */
function emitValue(
  writer: ProtobufWriterText,
  field: ProtobufField,
  step: ValueStep,
  n: string,
  bounds: Bounds,
): string {
  if (step.kind === 'scalar') return emitScalar(step.scalar, step.column, n, bounds.end);
  if (step.kind === 'enum') {
    const at = step.column.index;
    const names = `E${writer.enums.push({ column: at, type: constant(writer, step.type) }) - 1}`;
    return `if (p >= ${bounds.end}) broken(); k = s[p++]; if (k > 127) { p = readVarint32(s, p - 1, ${bounds.end}); k = t[0]; }
b = k >= 0 && k < 256 ? ${names}.small[k] : 0;
if (b !== 0) { v${at}[${n}] = ${names}.pairs[2 * b - 2]; l${at}[${n}] = ${names}.pairs[2 * b - 1]; }
else putEnum(${names}, k, C[${at}], ${n});`;
  }
  const depth = bounds.depth + 1;
  if (field.delimited) {
    if (step.kind !== 'message') return 'redo();';
    return emitMessage(writer, step, n, { end: bounds.end, group: field.number, depth });
  }
  const end = `e${writer.next++}`;
  const head = `${emitLength(bounds.end)}\nconst ${end} = p + k;`;
  return `${head}\n${emitBody(writer, step, n, { end, depth })}`;
}

/** Statements that read a message that fills [p, end). */
export function emitBody(writer: ProtobufWriterText, step: ValueStep, n: string, bounds: Bounds): string {
  const { end, depth } = bounds;
  switch (step.kind) {
    case 'message':
      return emitMessage(writer, step, n, bounds);
    case 'timestamp':
      return `putTimestamp(s, p, ${end}, ${depth}, P, v${step.column.index}, 2 * ${n}); p = ${end};`;
    case 'date':
      return `putDate(s, p, ${end}, ${depth}, P, C[${step.column.index}], ${n}); p = ${end};`;
    case 'time':
      return `putTime(s, p, ${end}, ${depth}, P, C[${step.column.index}], ${n}); p = ${end};`;
    case 'decimal':
      return `putDecimal(s, p, ${end}, ${depth}, K[${constant(writer, step.message)}], C[${step.column.index}], ${n}); p = ${end};`;
    case 'json':
      return `putJson(s, p, ${end}, ${depth}, K[${constant(writer, step.message)}], P, C[${step.column.index}], ${n}); p = ${end};`;
    default:
      return `while (p < ${end}) { p = readTag(s, p, ${end}); p = skipField(s, p, ${end}, t[0], ${depth}); }`;
  }
}

/** What is done at a message's end: counts of lists, fields that did not come, columns that the writer does not have. */
function emitEnd(writer: ProtobufWriterText, scope: Scope, step: MessageStep): string {
  const { id, n, singular, repeated } = scope;
  const parts = repeated.map((field) => emitCount(writer, scope, field));
  for (let from = 0, word = 0; from < singular.length; from += SEEN_BITS, word++) {
    const fields = singular.slice(from, from + SEEN_BITS);
    const all = fields.length === SEEN_BITS ? 0x7fffffff : (1 << fields.length) - 1;
    const absent = fields.map(
      (field, at) => `if ((g${id}_${word} & ${1 << at}) === 0) { ${emitAbsent(writer, field, n)} }`,
    );
    parts.push(`if (g${id}_${word} !== ${all}) {\n${absent.join('\n')}\n}`);
  }
  for (const { column, json } of step.absent) {
    if (json === undefined) parts.push(`setNull(C[${column.index}], ${n});`);
    else parts.push(`storeDefault(C[${column.index}], ${n}, K[${constant(writer, json)}]); ${writer.rebindAll}`);
  }
  return parts.join('\n');
}

function emitCount(writer: ProtobufWriterText, scope: Scope, step: FieldStep): string {
  const count = countOf(scope, step);
  const store = `l${step.column!.index}[${scope.n}] = ${count};`;
  if (!step.key) return store;
  const id = writer.domainOf(step.column!.path);
  return `if (${count} > 1 && hasTwice(C[${step.key.index}], s, d${id}.length - ${count}, ${count})) redo(); ${store}`;
}

const NULLED_BY_BIT = new Set(['boolean', 'int32', 'int64', 'float', 'double']);

function emitAbsent(writer: ProtobufWriterText, { field, column, value }: FieldStep, n: string): string {
  const { index, type } = column!;
  if (field.presence === 'required') return 'broken();';
  const kind = vectorKind(type);
  if (field.presence === 'explicit') {
    const clear = `C[${index}].validity[${n} >> 3] &= ~(1 << (${n} & 7));`;
    return NULLED_BY_BIT.has(kind) ? clear : `setNull(C[${index}], ${n});`;
  }
  if (value.kind === 'enum') {
    const names = `E${writer.enums.push({ column: index, type: constant(writer, value.type) }) - 1}`;
    return `putEnum(${names}, ${value.type.values[0]!.number}, C[${index}], ${n});`;
  }
  // A map's value that is a message and not there.
  if (value.kind !== 'scalar') return 'redo();';
  if (type.kind === 'decimal') return `putUnsigned(C[${index}], ${n}, 0, 0);`;
  if (kind === 'int64') return `v${index}[2 * ${n}] = 0; v${index}[2 * ${n} + 1] = 0;`;
  return kind === 'bytes' ? `v${index}[${n}] = 0; l${index}[${n}] = 0;` : `v${index}[${n}] = 0;`;
}
