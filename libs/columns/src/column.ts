import { MillraceError } from '@millrace/base';
import type { ColumnType } from '@millrace/schema';
import { decimalBytes, type Vector } from './vector.ts';

/**
 * Columns that repeat together: the top level is one domain, the elements of each list, the entries of each map another.
 * All columns of a domain are equally long.
 */
export interface Domain {
  length: number;
  capacity: number;
  readonly columns: Column[];
}

/**
 * A growing column. Only the arrays of its kind are used; the others stay empty. Every bit of `validity` is set where no
 * null has been written, so a value costs nothing there and a null clears one bit.
 */
export interface Column {
  readonly kind: Vector['kind'];
  readonly type: ColumnType;
  readonly domain: Domain;
  /** Struct: fields. List: element. Map: key, value. */
  readonly children: Column[];
  readonly childDomain: Domain | undefined;
  validity: Uint8Array;
  ints: Int32Array;
  floats: Float32Array;
  doubles: Float64Array;
  /** Booleans, one byte each. */
  flags: Uint8Array;
  /** Bytes: position in the rows' source, or ~position in `scratch`. Lists and maps: unused. */
  starts: Int32Array;
  /** Bytes: lengths. Lists and maps: how many elements. */
  lengths: Int32Array;
  offsets: Int32Array;
  scratch: Uint8Array;
  scratchLength: number;
  /** Byte sequences that have been put into scratch once: key → [~start, length] pairs. */
  readonly constants: Map<object, Int32Array>;
}

const NONE = {
  ints: new Int32Array(0),
  floats: new Float32Array(0),
  doubles: new Float64Array(0),
  bytes: new Uint8Array(0),
};
/** The most rows or elements that one domain takes: positions stay within an Int32Array and a growing array within 2 GB. */
const MAX_ROWS = 1 << 27;
const MAX_SCRATCH = 1 << 30;

export function createDomain(domains: Domain[]): Domain {
  const domain: Domain = { length: 0, capacity: 0, columns: [] };
  domains.push(domain);
  return domain;
}

export function createColumn(type: ColumnType, domain: Domain, domains: Domain[]): Column {
  const repeats = type.kind === 'list' || type.kind === 'map';
  const childDomain = repeats ? createDomain(domains) : undefined;
  const column: Column = {
    kind: vectorKind(type),
    type,
    domain,
    children: [],
    childDomain,
    ...emptyArrays(),
    scratch: NONE.bytes,
    scratchLength: 0,
    constants: new Map(),
  };
  domain.columns.push(column);
  for (const child of childTypes(type)) column.children.push(createColumn(child, childDomain ?? domain, domains));
  return column;
}

const emptyArrays = () => ({
  validity: NONE.bytes,
  ints: NONE.ints,
  floats: NONE.floats,
  doubles: NONE.doubles,
  flags: NONE.bytes,
  starts: NONE.ints,
  lengths: NONE.ints,
  offsets: NONE.ints,
});

function childTypes(type: ColumnType): ColumnType[] {
  if (type.kind === 'struct') return type.fields.map((field) => field.type);
  if (type.kind === 'list') return [type.element];
  return type.kind === 'map' ? [type.key, type.value] : [];
}

/** The vector that holds a column type. */
export function vectorKind(type: ColumnType): Vector['kind'] {
  switch (type.kind) {
    case 'int':
    case 'date':
      return 'int32';
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamp_ns':
      return 'int64';
    case 'decimal':
      return type.precision <= 9 ? 'int32' : type.precision <= 18 ? 'int64' : 'bytes';
    case 'string':
    case 'uuid':
    case 'fixed':
    case 'binary':
    // A variant's column is filled with JSON texts; batch() turns them into variants.
    case 'variant':
      return 'bytes';
    default:
      return type.kind;
  }
}

/** Makes room for `count` more rows in every column of the domain. Throws `exhausted` beyond 2^27 rows. */
export function reserve(domain: Domain, count: number): void {
  const needed = domain.length + count;
  if (needed <= domain.capacity) return;
  if (needed > MAX_ROWS)
    throw new MillraceError('exhausted', `One batch of columns would have ${needed} elements; reset it more often`, {
      code: 'batch-too-large',
      retryable: false,
    });
  const capacity = Math.min(MAX_ROWS, Math.max(needed, domain.capacity * 2, 256));
  for (const column of domain.columns) growColumn(column, capacity);
  domain.capacity = capacity;
}

function growColumn(column: Column, capacity: number): void {
  const validity = new Uint8Array((capacity + 7) >> 3).fill(255);
  validity.set(column.validity);
  column.validity = validity;
  switch (column.kind) {
    case 'boolean':
      column.flags = copyInto(new Uint8Array(capacity), column.flags);
      break;
    case 'int32':
      column.ints = copyInto(new Int32Array(capacity), column.ints);
      break;
    case 'int64':
      column.ints = copyInto(new Int32Array(2 * capacity), column.ints);
      break;
    case 'float':
      column.floats = copyInto(new Float32Array(capacity), column.floats);
      break;
    case 'double':
      column.doubles = copyInto(new Float64Array(capacity), column.doubles);
      break;
    case 'bytes':
      column.starts = copyInto(new Int32Array(capacity), column.starts);
      column.lengths = copyInto(new Int32Array(capacity), column.lengths);
      break;
    case 'list':
    case 'map':
      column.lengths = copyInto(new Int32Array(capacity), column.lengths);
      break;
  }
}

function copyInto<T extends { set(from: T): void }>(to: T, from: T): T {
  to.set(from);
  return to;
}

/** Row n has no value, nor has anything below it. */
export function setNull(column: Column, n: number): void {
  column.validity[n >> 3]! &= ~(1 << (n & 7));
  if (column.kind === 'struct') for (const child of column.children) setNull(child, n);
  else if (column.kind === 'bytes' || column.childDomain) column.lengths[n] = 0;
  if (column.kind === 'bytes') column.starts[n] = 0;
}

/** Forgets rows from `length` on; `end` is one past the last row that may have been written to. */
export function truncate(domain: Domain, length: number, end: number): void {
  for (const column of domain.columns) setBits(column.validity, length, end);
  domain.length = length;
}

function setBits(bits: Uint8Array, from: number, to: number): void {
  for (; from < to && (from & 7) !== 0; from++) bits[from >> 3]! |= 1 << (from & 7);
  if (from < to) bits.fill(255, from >> 3, (to + 7) >> 3);
}

const KEPT_ROWS = 1 << 16;
const KEPT_SCRATCH = 4 << 20;

/** Forgets all rows. Keeps the memory, but of a size that one giant batch asked for not for ever. */
export function clear(domain: Domain): void {
  const { length, capacity } = domain;
  truncate(domain, 0, length);
  for (const column of domain.columns) {
    if (column.scratch.length > KEPT_SCRATCH && column.scratchLength < column.scratch.length / 4)
      column.scratch = NONE.bytes;
    column.scratchLength = 0;
    column.constants.clear();
  }
  if (capacity <= KEPT_ROWS || length >= capacity / 4) return;
  for (const column of domain.columns) Object.assign(column, emptyArrays());
  domain.capacity = 0;
}

/** Makes room for `length` bytes in a column's scratch and takes them; answers where they start. */
export function takeScratch(column: Column, length: number): number {
  const start = column.scratchLength;
  const needed = start + length;
  if (needed > MAX_SCRATCH)
    throw new MillraceError(
      'exhausted',
      `One batch of columns would have ${needed} bytes in one column; reset it more often`,
      {
        code: 'batch-too-large',
        retryable: false,
      },
    );
  if (needed > column.scratch.length) {
    const grown = new Uint8Array(Math.min(MAX_SCRATCH, Math.max(needed, column.scratch.length * 2, 1024)));
    grown.set(column.scratch.subarray(0, start));
    column.scratch = grown;
  }
  column.scratchLength = needed;
  return start;
}

/** Puts bytes into row n of a bytes column. */
export function setBytes(column: Column, n: number, bytes: Uint8Array): void {
  const start = takeScratch(column, bytes.length);
  column.scratch.set(bytes, start);
  column.starts[n] = ~start;
  column.lengths[n] = bytes.length;
}

/** [~start, length] pairs of texts that the column holds once for all rows, until the rows are reset. */
export function constants(column: Column, texts: readonly string[]): Int32Array {
  let pairs = column.constants.get(texts);
  if (pairs === undefined) {
    pairs = new Int32Array(2 * texts.length);
    for (const [at, text] of texts.entries()) {
      const bytes = Buffer.from(text);
      const start = takeScratch(column, bytes.length);
      column.scratch.set(bytes, start);
      pairs[2 * at] = ~start;
      pairs[2 * at + 1] = bytes.length;
    }
    column.constants.set(texts, pairs);
  }
  return pairs;
}

/** How wide the fixed bytes of a decimal column are. */
export const decimalWidth = (column: Column): number =>
  column.type.kind === 'decimal' ? decimalBytes(column.type.precision) : 0;
