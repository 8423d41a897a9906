import type { AvroType } from '@millrace/schema';
import type { Decoder } from './avro-decoder.ts';
import type { Branch, ColumnRef, Plan, Step } from './avro-plan.ts';
import * as runtime from './avro-runtime.ts';
import { BadRecord, MAX_EMPTY_ITEMS } from './avro-value.ts';
import { type Column, constants, reserve, setNull, vectorKind } from './column.ts';
import type { RowBuilder } from './row-builder.ts';
import { storeDefault } from './store.ts';
import { decimalBytes } from './vector.ts';

/**
 * A decoder as JavaScript made for one plan. The text holds numbers only: columns, schemas and defaults are reached by
 * index (C, K), so nothing that a schema's author wrote becomes code. Arrays of the columns are variables of the closure,
 * loaded by bind() at each call and by a domain's own bind after it has grown.
 *
 * In each generated function: s = source, p = position (answered), e = the record's end, n = row. Others: t = scratch.
 */
export function generateAvro(plan: Plan): (columnsOf: (rows: RowBuilder) => Column[]) => Decoder['decode'] {
  const writer: Writer = { plan, functions: [], constants: [], domains: new Map(), enums: [], next: 0 };
  domainOf(writer, []);
  const root = emitFunction(writer, plan.root, 'n');
  const text = program(writer, root);
  const make = new Function('R', 'K', text) as (r: unknown, k: unknown[]) => Generated;
  return (columnsOf) => {
    const { bind, decode } = make(RUNTIME, writer.constants);
    let bound: RowBuilder | undefined;
    let columns: Column[] = [];
    return (rows, starts, lengths, skip, from, to, n) => {
      if (bound !== rows) {
        columns = columnsOf(rows);
        bound = rows;
      }
      bind(columns, rows.source);
      return decode(rows.source, starts, lengths, skip, from, to, n);
    };
  };
}

interface Generated {
  bind(columns: Column[], source: Uint8Array): void;
  decode(
    source: Uint8Array,
    starts: Int32Array,
    lengths: Int32Array,
    skip: number,
    from: number,
    to: number,
    n: number,
  ): number;
}

const RUNTIME = {
  ...runtime,
  constants,
  reserve,
  setNull,
  storeDefault,
  isBroken: (error: unknown) => error === runtime.BROKEN || error instanceof BadRecord,
};

interface Writer {
  plan: Plan;
  functions: string[];
  constants: unknown[];
  /** Column path of the list or map ('' = top level) → its number and columns. */
  domains: Map<string, { id: number; columns: number[] }>;
  /** Enum columns and the constants with their symbols. */
  enums: { column: number; symbols: number }[];
  next: number;
}

const constant = (writer: Writer, value: unknown): number => writer.constants.push(value) - 1;

function domainOf(writer: Writer, path: number[]): { id: number; columns: number[] } {
  const key = path.join('.');
  let domain = writer.domains.get(key);
  if (!domain) {
    domain = { id: writer.domains.size, columns: [] };
    writer.domains.set(key, domain);
  }
  return domain;
}

function program(writer: Writer, root: string): string {
  const { columns } = writer.plan;
  // Each column belongs to the domain of the nearest list or map above it.
  const repeated = columns.filter(({ type }) => type.kind === 'list' || type.kind === 'map').map(({ path }) => path);
  for (const { path, index } of columns) {
    const above = repeated.filter((list) => list.length < path.length && list.every((at, i) => at === path[i]));
    const nearest = above.reduce((best, list) => (list.length > best.length ? list : best), [] as number[]);
    domainOf(writer, nearest).columns.push(index);
  }
  const domains = [...writer.domains.entries()];
  const lists = new Map(columns.map((ref) => [ref.path.join('.'), ref.index]));
  return `"use strict";
const { broken, scratch: t, readLong, readInt, readLength, readCount, timesThousand, longToNumber, checkUtf8, decimal32,
  decimal64, decimalWide, uuidToText, jsonOrSkip, constants, reserve, setNull, storeDefault, isBroken } = R;
let C, view, of;
const cursor = { bytes: null, at: 0, end: 0, emptyItems: 0 };
${columns.map(({ index }) => `let v${index}, l${index};`).join('\n')}
${domains.map(([, { id }]) => `let d${id};`).join(' ')}
${writer.enums.map((_, i) => `let E${i};`).join(' ')}
${domains.map(([, { id, columns: own }]) => `function b${id}() { ${own.map((at) => bindColumn(columns[at]!)).join(' ')} }`).join('\n')}
${writer.functions.join('\n')}
return {
  bind(columns, source) {
    if (C !== columns) { C = columns; ${domains.map(([key, { id }]) => (key === '' ? '' : `d${id} = C[${lists.get(key)}].childDomain;`)).join(' ')} }
    if (of !== source) { of = source; view = new DataView(source.buffer, source.byteOffset, source.byteLength); }
    ${writer.enums.map(({ column, symbols }, i) => `E${i} = constants(C[${column}], K[${symbols}]);`).join(' ')}
    ${domains.map(([, { id }]) => `b${id}();`).join(' ')}
  },
  decode(s, starts, lengths, skip, from, to, n) {
    let i = from;
    try {
      for (; i < to; i++, n++) {
        const length = lengths[i];
        if (length < 0) { ${writer.plan.top.map(({ index }) => `setNull(C[${index}], n);`).join(' ')} continue; }
        cursor.emptyItems = 0;
        const e = starts[i] + length;
        if (${root}(s, starts[i] + skip, e, n) !== e) break;
      }
    } catch (error) {
      if (!isBroken(error)) throw error;
    }
    return i - from;
  },
};`;
}

function bindColumn({ index, type }: ColumnRef): string {
  const from = `C[${index}]`;
  switch (vectorKind(type)) {
    case 'boolean':
      return `v${index} = ${from}.flags;`;
    case 'int32':
    case 'int64':
      return `v${index} = ${from}.ints;`;
    case 'float':
      return `v${index} = ${from}.floats;`;
    case 'double':
      return `v${index} = ${from}.doubles;`;
    case 'bytes':
      return `v${index} = ${from}.starts; l${index} = ${from}.lengths;`;
    case 'list':
    case 'map':
      return `l${index} = ${from}.lengths;`;
    case 'struct':
      return '';
  }
}

// Functions of a bounded size: the optimising compiler gives up on huge ones.
const FIELDS_A_FUNCTION = 24;

function emitFunction(writer: Writer, step: Step, n: string): string {
  const name = `f${writer.next++}`;
  const body = emit(writer, step, n);
  writer.functions.push(`function ${name}(s, p, e, n) { let b = 0, k = 0;\n${body}\nreturn p; }`);
  return name;
}

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
      return `p = readInt(s, p, e, t, 0); k = t[0]; if (k < 0 || k >= ${step.avro.symbols.length}) broken();
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
        (at) => `${emitBytes(step.key.index, at, true)}\n${emit(writer, step.value, at)}`,
      );
    case 'union':
      return emitUnion(writer, step.branches, n);
  }
}

function emitRecord(writer: Writer, step: Step & { kind: 'record' }, n: string): string {
  const parts: string[] = [];
  for (let at = 0; at < step.fields.length; at += FIELDS_A_FUNCTION) {
    const fields = step.fields.slice(at, at + FIELDS_A_FUNCTION);
    if (step.fields.length <= FIELDS_A_FUNCTION) parts.push(...fields.map((field) => emit(writer, field.step, n)));
    else parts.push(`p = ${emitFunction(writer, { kind: 'record', fields, absent: [] }, 'n')}(s, p, e, ${n});`);
  }
  for (const { column, json } of step.absent) {
    if (json === undefined) parts.push(`setNull(C[${column.index}], ${n});`);
    else {
      parts.push(`storeDefault(C[${column.index}], ${n}, K[${constant(writer, json)}]);`);
      // A default with lists in it may have made their domains grow: they are bound again. It is rare enough.
      parts.push(...repeatedBelow(writer, column).map((id) => `b${id}();`));
    }
  }
  return parts.join('\n');
}

function repeatedBelow(writer: Writer, column: ColumnRef): number[] {
  return writer.plan.columns
    .filter(
      ({ type, path }) => (type.kind === 'list' || type.kind === 'map') && column.path.every((at, i) => at === path[i]),
    )
    .map(({ path }) => domainOf(writer, path).id);
}

function emitBlocks(
  writer: Writer,
  column: ColumnRef,
  itemBytes: number,
  n: string,
  item: (at: string) => string,
): string {
  const { id } = domainOf(writer, column.path);
  const unique = writer.next++;
  const [total, count, row] = [`a${unique}`, `c${unique}`, `n${unique}`];
  const limit =
    itemBytes === 0 ? `(cursor.emptyItems += ${count}) > ${MAX_EMPTY_ITEMS}` : `${count} > (e - p) / ${itemBytes}`;
  return `let ${total} = 0;
for (;;) {
  p = readCount(s, p, e);
  const ${count} = t[0];
  if (${count} === 0) break;
  if (${limit}) broken();
  if (d${id}.length + ${count} > d${id}.capacity) { reserve(d${id}, ${count}); b${id}(); }
  let ${row} = d${id}.length;
  d${id}.length = ${row} + ${count};
  ${total} += ${count};
  for (const stop = ${row} + ${count}; ${row} < stop; ${row}++) {
${item(row)}
  }
}
l${column.index}[${n}] = ${total};`;
}

function emitUnion(writer: Writer, branches: Branch[], n: string): string {
  const bodies = branches.map(({ nulls, step }) => {
    const clear = nulls.map(({ index, type }) =>
      isPlain(type.kind) ? `C[${index}].validity[${n} >> 3] &= ~(1 << (${n} & 7));` : `setNull(C[${index}], ${n});`,
    );
    return `${clear.join(' ')}\n${emit(writer, step, n)}`;
  });
  return `if (p >= e) broken();
k = s[p++];
if (k > 127) { p = readLength(s, p - 1, e); k = t[0] * 2; }
switch (k) {
${bodies.map((body, at) => `case ${2 * at}: { ${body}\nbreak; }`).join('\n')}
default: broken();
}`;
}

const isPlain = (kind: string): boolean =>
  ['boolean', 'int', 'long', 'float', 'double', 'date', 'time', 'timestamp'].includes(kind);

function emitBytes(at: number, n: string, isText: boolean, size?: number): string {
  const length =
    size === undefined
      ? 'if (p >= e) broken(); k = s[p++]; if (k < 128 && (k & 1) === 0) k >>= 1; else { p = readLength(s, p - 1, e); k = t[0]; }'
      : `k = ${size};`;
  return `${length}
if (k > e - p) broken();
v${at}[${n}] = p; l${at}[${n}] = k;
${isText ? 'for (k += p; p < k; p++) if (s[p] > 127) { checkUtf8(s, p, k); p = k; break; }' : 'p += k;'}`;
}

function emitLeaf(writer: Writer, avro: AvroType, column: ColumnRef, n: string): string {
  const at = column.index;
  const target = vectorKind(column.type);
  switch (avro.kind) {
    case 'boolean':
      return `if (p >= e) broken(); b = s[p++]; if (b > 1) broken(); v${at}[${n}] = b;`;
    case 'int':
      if (target === 'int32')
        return `if (p >= e) broken(); b = s[p++]; if (b < 128) v${at}[${n}] = (b >>> 1) ^ -(b & 1); else p = readInt(s, p - 1, e, v${at}, ${n});`;
      if (target === 'int64')
        return `p = readInt(s, p, e, v${at}, 2 * ${n}); v${at}[2 * ${n} + 1] = v${at}[2 * ${n}] >> 31;${avro.logical?.kind === 'time-millis' ? ` timesThousand(v${at}, 2 * ${n});` : ''}`;
      return `p = readInt(s, p, e, t, 0); v${at}[${n}] = t[0];`;
    case 'long':
      if (target === 'int64')
        return `p = readLong(s, p, e, v${at}, 2 * ${n});${avro.logical?.kind.endsWith('timestamp-millis') ? ` timesThousand(v${at}, 2 * ${n});` : ''}`;
      return `p = readLong(s, p, e, t, 0); v${at}[${n}] = longToNumber();`;
    case 'float':
      return `if (e - p < 4) broken(); v${at}[${n}] = view.getFloat32(p, true); p += 4;`;
    case 'double':
      return `if (e - p < 8) broken(); v${at}[${n}] = view.getFloat64(p, true); p += 8;`;
    case 'fixed':
      if (avro.logical?.kind === 'uuid') return `if (e - p < 16) broken(); uuidToText(s, p, C[${at}], ${n}); p += 16;`;
  }
  const size = avro.kind === 'fixed' ? avro.size : undefined;
  if (column.type.kind !== 'decimal') return emitBytes(at, n, column.type.kind === 'string', size);
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
  const length = size === undefined ? 'p = readLength(s, p, e); k = t[0];' : `k = ${size};`;
  const head = `${length} if (k > e - p) broken(); p += k;`;
  if (precision <= 9) return `${head} decimal32(s, p - k, p, v${at}, ${n}, ${most});`;
  if (precision <= 18)
    return `${head} decimal64(s, p - k, p, v${at}, 2 * ${n}, ${most & 0xffffffffn}, ${most >> 32n});`;
  const width = decimalBytes(precision);
  const bytes = Uint8Array.from(Buffer.from(most.toString(16).padStart(2 * width, '0'), 'hex'));
  return `${head} decimalWide(s, p - k, p, C[${at}], ${n}, ${width}, K[${constant(writer, bytes)}]);`;
}
