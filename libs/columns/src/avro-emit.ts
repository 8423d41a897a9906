import type { AvroType } from '@millrace/schema';
import type { Branch, ColumnRef, Step } from './avro-step.ts';
import { MAX_EMPTY_ITEMS } from './avro-value.ts';
import { vectorKind } from './column.ts';
import { decimalBytes } from './vector.ts';

/** What the text of a decoder is gathered in. */
export interface Writer {
  /** The number of the domain of the list or map with this path. */
  domainOf(path: number[]): number;
  /** Statements that load a domain's arrays again after it has grown. */
  rebind(domain: number): string;
  columns: readonly ColumnRef[];
  functions: string[];
  constants: unknown[];
  /** Enum columns and the constants with their symbols. */
  enums: { column: number; symbols: number }[];
  next: number;
}

const constant = (writer: Writer, value: unknown): number => writer.constants.push(value) - 1;

// Functions of a bounded size: the optimising compiler gives up on huge ones.
const FIELDS_A_FUNCTION = 24;

/** The step as a function of its own: (s, p, e, n) => p. */
export function emitFunction(writer: Writer, step: Step): string {
  const name = `f${writer.next++}`;
  const body = emit(writer, step, 'n');
  writer.functions.push(`function ${name}(s, p, e, n) { let b = 0, k = 0;\n${body}\nreturn p; }`);
  return name;
}

/** Statements that read the step's value at p and write it to row `n` (an expression). */
export function emit(writer: Writer, step: Step, n: string): string {
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
    else parts.push(`p = ${emitFunction(writer, { kind: 'record', fields, absent: [] })}(s, p, e, ${n});`);
  }
  for (const { column, json } of step.absent) {
    if (json === undefined) parts.push(`setNull(C[${column.index}], ${n});`);
    else {
      parts.push(`storeDefault(C[${column.index}], ${n}, K[${constant(writer, json)}]);`);
      // A default with lists in it may have made their domains grow: they are bound again. It is rare enough.
      parts.push(...repeatedBelow(writer, column).map((id) => writer.rebind(id)));
    }
  }
  return parts.join('\n');
}

function repeatedBelow(writer: Writer, column: ColumnRef): number[] {
  return writer.columns
    .filter(
      ({ type, path }) => (type.kind === 'list' || type.kind === 'map') && column.path.every((at, i) => at === path[i]),
    )
    .map(({ path }) => writer.domainOf(path));
}

function emitBlocks(
  writer: Writer,
  column: ColumnRef,
  itemBytes: number,
  n: string,
  item: (at: string) => string,
): string {
  const id = writer.domainOf(column.path);
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
  if (d${id}.length + ${count} > d${id}.capacity) { reserve(d${id}, ${count}); ${writer.rebind(id)} }
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
