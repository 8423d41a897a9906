import type { AvroType, ColumnType } from '@millrace/schema';
import type { Branch, ColumnRef, Step } from './avro-step.ts';
import { MAX_EMPTY_ITEMS } from './avro-value.ts';
import { vectorKind } from './column.ts';
import type { PlanDomain } from './column-plan.ts';
import { decimalBytes } from './vector.ts';

/** What the text of a decoder is gathered in. */
export interface Writer {
  domains: readonly PlanDomain[];
  /** Whether what is being written is one function. */
  isWhole: boolean;
  /** Whether numbers and texts are read in place: faster than by a call, but much more code. */
  inPlace: boolean;
  /** Statements that load a column's arrays. */
  bind(column: ColumnRef): string;
  columns: readonly ColumnRef[];
  functions: string[];
  constants: unknown[];
  /** Enum columns and the constants with their symbols. */
  enums: { column: number; symbols: number }[];
  next: number;
}

const domainOf = (writer: Writer, path: number[]): number =>
  writer.domains.findIndex((domain) => domain.key === path.join('.'));

/** Statements that load a domain's arrays. */
export const bindDomain = (writer: Writer, id: number): string =>
  writer.domains[id]!.columns.map((column) => writer.bind(column)).join(' ');

const rebind = (writer: Writer, id: number): string => (writer.isWhole ? bindDomain(writer, id) : `b${id}();`);

const constant = (writer: Writer, value: unknown): number => writer.constants.push(value) - 1;

// Functions of a bounded size: the optimising compiler gives up on huge ones.
const FIELDS_A_FUNCTION = 24;

/** Statements that read the step's value at p and write it to row n. */
export const emitPart = (writer: Writer, step: Step): string =>
  writer.isWhole ? emit(writer, step, 'n') : `p = ${emitFunction(writer, step)}(s, p, e, n);`;

/** The step as a function of its own: (s, p, e, n) => p. */
function emitFunction(writer: Writer, step: Step): string {
  const name = `f${writer.next++}`;
  const body = emit(writer, step, 'n');
  writer.functions.push(`function ${name}(s, p, e, n) { let b = 0, k = 0, q = 0;\n${body}\nreturn p; }`);
  return name;
}

/** Statements that read the step's value at p and write it to row `n` (an expression). */
function emit(writer: Writer, step: Step, n: string): string {
  switch (step.kind) {
    case 'skip':
      if (step.avro.kind === 'null') return '';
      return `p = jsonOrSkip(cursor, s, p, e, K[${constant(writer, step.avro)}], undefined, 0);`;
    case 'json':
      return `p = jsonOrSkip(cursor, s, p, e, K[${constant(writer, step.avro)}], C[${step.column.index}], ${n});`;
    case 'leaf':
      return emitLeaf(writer, step.avro, step.column, n);
    case 'enum': {
      const i = writer.enums.push({ column: step.column.index, symbols: constant(writer, step.avro.symbols) }) - 1;
      const at = step.column.index;
      return `${emitSmall('readInt')} if (k < 0 || k >= ${step.avro.symbols.length}) broken();
v${at}[${n}] = E${i}[2 * k]; l${at}[${n}] = E${i}[2 * k + 1];`;
    }
    case 'duration':
      return `if (e - p < 12) broken();
${step.parts.map(({ index }, i) => `v${index}[2 * ${n}] = view.getInt32(p + ${4 * i}, true); v${index}[2 * ${n} + 1] = 0;`).join('\n')}
p += 12;`;
    case 'record':
      return emitRecord(writer, step, n);
    case 'list':
      return emitBlocks(writer, step.column, step.itemBytes, n, (at) => emit(writer, step.item, at));
    case 'map':
      return emitBlocks(
        writer,
        step.column,
        step.itemBytes,
        n,
        (at) => `${emitBytes(writer, step.key.index, at, true)}\n${emit(writer, step.value, at)}`,
      );
    case 'union':
      return emitUnion(writer, step.branches, n);
  }
}

function emitRecord(writer: Writer, step: Step & { kind: 'record' }, n: string): string {
  const parts: string[] = [];
  for (let at = 0; at < step.fields.length; at += FIELDS_A_FUNCTION) {
    const fields = step.fields.slice(at, at + FIELDS_A_FUNCTION);
    if (writer.isWhole || step.fields.length <= FIELDS_A_FUNCTION)
      parts.push(...fields.map((field) => emit(writer, field.step, n)));
    else parts.push(`p = ${emitFunction(writer, { kind: 'record', fields, absent: [] })}(s, p, e, ${n});`);
  }
  for (const { column, json } of step.absent) {
    if (json === undefined) parts.push(emitNull(writer, column, n));
    else {
      // A default with lists in it makes their domains longer. It is rare enough.
      const below = repeatedBelow(writer, column);
      parts.push(
        ...below.map((id) => `d${id}.length = m${id};`),
        `storeDefault(C[${column.index}], ${n}, K[${constant(writer, json)}]);`,
        ...below.map((id) => `m${id} = d${id}.length; ${rebind(writer, id)}`),
      );
    }
  }
  return parts.join('\n');
}

const isBelow = (column: ColumnRef, other: ColumnRef): boolean => column.path.every((at, i) => at === other.path[i]);

function repeatedBelow(writer: Writer, column: ColumnRef): number[] {
  return writer.columns
    .filter((other) => (other.type.kind === 'list' || other.type.kind === 'map') && isBelow(column, other))
    .map(({ path }) => domainOf(writer, path));
}

// Up to so many columns setNull() is written out.
const NULLS_IN_PLACE = 8;

function emitNull(writer: Writer, column: ColumnRef, n: string): string {
  const below = writer.columns.filter((other) => isBelow(column, other));
  const hidden = (other: ColumnRef) =>
    below.some((list) => list !== other && list.type.kind !== 'struct' && isBelow(list, other));
  const cleared = below.filter((other) => !hidden(other));
  // What the writer's schema lacks altogether is not among the plan's columns, but must become null with its parent.
  if (cleared.length > NULLS_IN_PLACE || cleared.length !== sizeOf(column.type))
    return `setNull(C[${column.index}], ${n});`;
  return cleared
    .map(({ index, type }) => {
      const kind = vectorKind(type);
      const empty = kind === 'bytes' || kind === 'list' || kind === 'map' ? ` l${index}[${n}] = 0;` : '';
      return `w${index}[${n} >> 3] &= ~(1 << (${n} & 7));${empty}${kind === 'bytes' ? ` v${index}[${n}] = 0;` : ''}`;
    })
    .join(' ');
}

/** How many columns a null in one of this type clears: itself and a struct's fields; a list's elements are just not there. */
const sizeOf = (type: ColumnType): number =>
  1 + (type.kind === 'struct' ? type.fields.reduce((sum, field) => sum + sizeOf(field.type), 0) : 0);

function emitBlocks(
  writer: Writer,
  column: ColumnRef,
  itemBytes: number,
  n: string,
  item: (at: string) => string,
): string {
  const id = domainOf(writer, column.path);
  const unique = writer.next++;
  const [total, count, row] = [`a${unique}`, `c${unique}`, `m${id}`];
  const limit =
    itemBytes === 0 ? `(cursor.emptyItems += ${count}) > ${MAX_EMPTY_ITEMS}` : `${count} > (e - p) / ${itemBytes}`;
  return `let ${total} = 0;
for (;;) {
  ${emitSmall('readCount')}
  const ${count} = k;
  if (${count} === 0) break;
  if (${limit}) broken();
  if (${row} + ${count} > d${id}.capacity) { d${id}.length = ${row}; reserve(d${id}, ${count}); ${rebind(writer, id)} }
  ${total} += ${count};
  for (const stop = ${row} + ${count}; ${row} < stop; ${row}++) {
${item(row)}
  }
}
l${column.index}[${n}] = ${total};`;
}

function emitUnion(writer: Writer, branches: Branch[], n: string): string {
  const bodies = branches.map(({ nulls, step }) =>
    [...nulls.map((column) => emitNull(writer, column, n)), emit(writer, step, n)].join('\n'),
  );
  return `${emitSmall('readLength')}
switch (k) {
${bodies.map((body, at) => `case ${at}: { ${body}\nbreak; }`).join('\n')}
default: broken();
}`;
}

// A zigzag number that is nearly always one byte and not negative, into k.
const emitSmall = (reader: string): string =>
  `if (p >= e) broken(); k = s[p++]; if (k < 128 && (k & 1) === 0) k >>= 1; else { p = ${reader}(s, p - 1, e, t, 0); k = t[0]; }`;

// A zigzag varint of up to four bytes from one load, as its raw bits in b; `slow` reads longer ones, and those at the
// buffer's end. It may pass the record's end: p > e then, which every later check and the record's own refuse.
const emitVarint = (writer: Writer, slow: string, store: string): string =>
  !writer.inPlace
    ? slow
    : `if (p > z || ((b = view.getInt32(p, true)) & -0x7f7f7f80) === -0x7f7f7f80) ${slow} else {
if ((b & 0x80) === 0) { b &= 0x7f; p++; }
else if ((b & 0x8000) === 0) { b = b & 0x7f | b >> 1 & 0x3f80; p += 2; }
else if ((b & 0x800000) === 0) { b = b & 0x7f | b >> 1 & 0x3f80 | b >> 2 & 0x1fc000; p += 3; }
else { b = b & 0x7f | b >> 1 & 0x3f80 | b >> 2 & 0x1fc000 | b >> 3 & 0xfe00000; p += 4; }
${store} }`;

function emitBytes(writer: Writer, at: number, n: string, isText: boolean, size?: number): string {
  if (isText && size === undefined && !writer.inPlace) return `p = readText(view, s, p, e, v${at}, l${at}, ${n});`;
  const length = size === undefined ? emitSmall('readLength') : `k = ${size};`;
  return `${length}
if (k > e - p) broken();
v${at}[${n}] = p; l${at}[${n}] = k;
${isText ? emitAsciiCheck(`v${at}[${n}]`) : 'p += k;'}`;
}

// p += k; whatever is not ASCII is looked at byte by byte. Four bytes a load: from both ends for up to 16, where a loop's
// end would be guessed wrong by the processor again and again.
export const emitAsciiCheck = (start: string): string =>
  `q = p; p += k; b = 0;
if (k > 3) {
b = view.getInt32(q, true) | view.getInt32(p - 4, true);
if (k > 8) { b |= view.getInt32(q + 4, true) | view.getInt32(p - 8, true); if (k > 16) b |= orBytes(view, q + 8, p - 8); }
} else if (k > 0) b = s[q] | s[q + (k >> 1)] | s[p - 1];
if ((b & -0x7f7f7f80) !== 0) checkUtf8(s, ${start}, p);`;

function emitLeaf(writer: Writer, avro: AvroType, column: ColumnRef, n: string): string {
  const at = column.index;
  const target = vectorKind(column.type);
  switch (avro.kind) {
    case 'boolean':
      return `if (p >= e) broken(); b = s[p++]; if (b > 1) broken(); v${at}[${n}] = b;`;
    case 'int':
      if (target === 'int32')
        return emitVarint(writer, `p = readInt(s, p, e, v${at}, ${n});`, `v${at}[${n}] = (b >>> 1) ^ -(b & 1);`);
      if (target === 'int64')
        return `p = readInt(s, p, e, v${at}, 2 * ${n}); v${at}[2 * ${n} + 1] = v${at}[2 * ${n}] >> 31;${avro.logical?.kind === 'time-millis' ? ` timesThousand(v${at}, 2 * ${n});` : ''}`;
      return `p = readInt(s, p, e, t, 0); v${at}[${n}] = t[0];`;
    case 'long':
      if (target === 'int64')
        return `${emitVarint(
          writer,
          `p = ${writer.inPlace ? 'readWideLong' : 'readLongAtOnce'}(view, s, p, e, v${at}, 2 * ${n});`,
          `k = -(b & 1); v${at}[2 * ${n}] = (b >>> 1) ^ k; v${at}[2 * ${n} + 1] = k;`,
        )}${avro.logical?.kind.endsWith('timestamp-millis') ? ` timesThousand(v${at}, 2 * ${n});` : ''}`;
      return `p = readLong(s, p, e, t, 0); v${at}[${n}] = longToNumber();`;
    case 'float':
      return `if (e - p < 4) broken(); v${at}[${n}] = view.getFloat32(p, true); p += 4;`;
    case 'double':
      return `if (e - p < 8) broken(); v${at}[${n}] = view.getFloat64(p, true); p += 8;`;
    case 'fixed':
      if (avro.logical?.kind === 'uuid') return `if (e - p < 16) broken(); uuidToText(s, p, C[${at}], ${n}); p += 16;`;
  }
  const size = avro.kind === 'fixed' ? avro.size : undefined;
  if (column.type.kind !== 'decimal') return emitBytes(writer, at, n, column.type.kind === 'string', size);
  return emitDecimal(writer, column, column.type.precision, n, size);
}

function emitDecimal(
  writer: Writer,
  column: ColumnRef,
  precision: number,
  n: string,
  size: number | undefined,
): string {
  const at = column.index;
  const most = 10n ** BigInt(precision) - 1n;
  const length = size === undefined ? emitSmall('readLength') : `k = ${size};`;
  const head = `${length} if (k > e - p) broken(); p += k;`;
  // Big endian and ending at p: shifts take away what stands before the number in a load and bring its sign there. What reaches over the
  // buffer's start or is longer, and in 64 bits what is near the limit, is left to the plain reading.
  if (precision <= 9)
    return `${head} if (k > 0 && k < 5 && p > 3) {
b = view.getInt32(p - 4) << (-8 * k) >> (-8 * k); if (b > ${most} || b < -${most}) broken(); v${at}[${n}] = b;
} else decimal32(s, p - k, p, v${at}, ${n}, ${most});`;
  if (precision <= 18) {
    const [lo, hi] = [most & 0xffffffffn, most >> 32n];
    return `${head} b = ${hi};
if (k > 4 && k < 9 && p > 7) { b = view.getInt32(p - 8) << (-8 * k) >> (-8 * k); q = view.getInt32(p - 4); }
else if (k > 0 && k < 5 && p > 3) { q = view.getInt32(p - 4) << (-8 * k) >> (-8 * k); b = q >> 31; }
if (b < ${hi} && b >= -${hi}) { v${at}[2 * ${n}] = q; v${at}[2 * ${n} + 1] = b; }
else decimal64(s, p - k, p, v${at}, 2 * ${n}, ${lo}, ${hi});`;
  }
  const width = decimalBytes(precision);
  const bytes = Uint8Array.from(Buffer.from(most.toString(16).padStart(2 * width, '0'), 'hex'));
  return `${head} decimalWide(s, p - k, p, C[${at}], ${n}, ${width}, K[${constant(writer, bytes)}]);`;
}
