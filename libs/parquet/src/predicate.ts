import { MillraceError } from '@millrace/base';
import { decimalBytes, type Vector } from '@millrace/columns';
import type { PrimitiveType } from '@millrace/schema';
import { compareBytes } from './bytes-range.ts';
import type { FileNode, LeafNode } from './file-schema.ts';
import { CONVERTED } from './format.ts';
import { physicalType } from './leaf.ts';
import { type ColumnName, findNode } from './projection.ts';

/** A value as rows have it (see Row): number, bigint, string, boolean or bytes. */
export type Scalar = boolean | number | bigint | string | Uint8Array;

/** What a row must fulfil. A null fulfils no comparison, NaN neither. */
export type Predicate =
  | { column: ColumnName; op: Comparison; value: Scalar }
  /** Any of some keys. */
  | { column: ColumnName; op: 'in'; values: readonly Scalar[] }
  | { column: ColumnName; op: 'is-null' }
  | { column: ColumnName; op: 'not-null' };

type Comparison = '=' | '<' | '<=' | '>' | '>=';

/** What is known of some values: bounds in PLAIN form, which need not be values themselves. */
interface Known {
  min: Uint8Array | undefined;
  max: Uint8Array | undefined;
  nullCount: number | undefined;
  /** Values, nulls included; undefined = not known. */
  count: number | undefined;
}

/** A predicate for one leaf of a file. */
export interface LeafPredicate {
  leaf: LeafNode;
  /** False: none of the values fulfils it. */
  mayMatch(known: Known): boolean;
  /** Whether slot i of the leaf's vector fulfils it. */
  matcher(vector: Vector): (i: number) => boolean;
  /** For '=' and 'in': what is asked for, in PLAIN form, where the file's values are in the form of our type. */
  keys: Uint8Array[] | undefined;
}

type Key = number | bigint | Uint8Array;

/** Throws `invalid` for a column that is not there or lies in a list, and for values that do not go with it. */
export function leafPredicate(fields: FileNode[], predicate: Predicate): LeafPredicate {
  const leaf = findNode(fields, predicate.column);
  if (leaf.kind !== 'leaf' || leaf.repetition > 0) {
    throw new MillraceError(
      'invalid',
      `Column "${leaf.name}" can't be in a predicate: use one outside of lists and maps`,
      {
        code: 'parquet-predicate',
      },
    );
  }
  const { type } = leaf;
  const own = isOwnForm(leaf);
  if (predicate.op === 'is-null' || predicate.op === 'not-null') {
    const wanted = predicate.op === 'not-null';
    return {
      leaf,
      keys: undefined,
      mayMatch: ({ nullCount, count }) => nullCount === undefined || nullCount !== (wanted ? count : 0),
      matcher:
        ({ validity }) =>
        (i) =>
          isSet(validity, i) === wanted,
    };
  }
  const { op } = predicate;
  const scalars = predicate.op === 'in' ? predicate.values : [predicate.value];
  const keys = scalars.map((scalar) => keyOf(type, scalar, leaf.name)).sort((a, b) => compareKeys(type, a, b));
  const equal = op === '=' || op === 'in';
  const isFloat = type.kind === 'float' || type.kind === 'double';
  const bound = (plain: Uint8Array | undefined) => (own && plain !== undefined ? keyOfPlain(type, plain) : undefined);
  return {
    leaf,
    // Zeros of both signs are equal, and have two PLAIN forms.
    keys: own && equal && !isFloat ? keys.map((key) => plainOf(type, key)) : undefined,
    mayMatch({ min, max, nullCount, count }) {
      if (nullCount !== undefined && nullCount === count) return false;
      const low = bound(min);
      const high = bound(max);
      return keys.some((key) => {
        const belowLeast = low !== undefined && compareKeys(type, key, low) < 0;
        const aboveMost = high !== undefined && compareKeys(type, key, high) > 0;
        if (equal) return !belowLeast && !aboveMost;
        if (op === '<') return low === undefined || compareKeys(type, low, key) < 0;
        if (op === '<=') return !belowLeast;
        if (op === '>') return high === undefined || compareKeys(type, high, key) > 0;
        return !aboveMost;
      });
    },
    matcher(vector) {
      const { validity } = vector;
      const compare = comparing(vector, type);
      return (i) => isSet(validity, i) && fulfils(op, keys, (key) => compare(i, key));
    },
  };
}

const isSet = (validity: Uint8Array | undefined, i: number) =>
  validity === undefined || (validity[i >> 3]! & (1 << (i & 7))) !== 0;

function fulfils(op: Comparison | 'in', keys: Key[], compare: (key: Key) => number): boolean {
  switch (op) {
    case '<':
      return compare(keys[0]!) < 0;
    case '<=':
      return compare(keys[0]!) <= 0;
    case '>':
      return compare(keys[0]!) > 0;
    case '>=':
      return compare(keys[0]!) >= 0;
  }
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const order = compare(keys[middle]!);
    if (order === 0) return true;
    if (order < 0) high = middle;
    else if (order > 0) low = middle + 1;
    else return false;
  }
  return false;
}

/** Compares slot i with a key. NaN, which is neither less nor greater, comes out as NaN. */
function comparing(vector: Vector, type: PrimitiveType): (i: number, key: Key) => number {
  switch (vector.kind) {
    case 'boolean':
    case 'int32':
    case 'float':
    case 'double': {
      const { values } = vector;
      return (i, key) => values[i]! - Number(key) || order(values[i]!, Number(key));
    }
    case 'int64': {
      const { values } = vector;
      const halves = new Map<Key, [number, number]>();
      return (i, key) => {
        let pair = halves.get(key);
        if (pair === undefined) {
          pair = [Number((key as bigint) >> 32n), Number((key as bigint) & 0xffff_ffffn)];
          halves.set(key, pair);
        }
        return values[2 * i + 1]! - pair[0] || (values[2 * i]! >>> 0) - pair[1];
      };
    }
    case 'bytes': {
      const { source, starts, lengths } = vector;
      const signed = type.kind === 'decimal';
      return (i, key) => compareBytes(source.subarray(starts[i]!, starts[i]! + lengths[i]!), key as Uint8Array, signed);
    }
    default:
      throw new MillraceError('internal', `A predicate on a ${vector.kind}`);
  }
}

/** Where the difference is 0 or no number: infinities are equal to themselves. */
const order = (a: number, b: number): number => (a === b ? 0 : a < b ? -1 : a > b ? 1 : Number.NaN);

function compareKeys(type: PrimitiveType, a: Key, b: Key): number {
  if (a instanceof Uint8Array) return compareBytes(a, b as Uint8Array, type.kind === 'decimal');
  const number = b as number | bigint;
  return a < number ? -1 : a > number ? 1 : 0;
}

/** Whether the file's bounds are values of our type in its own PLAIN form, and not milliseconds or the like. */
function isOwnForm({ type, element }: LeafNode): boolean {
  const { physical, fixedLength } = physicalType(type);
  const { logical, converted } = element;
  if (physical !== element.physical || (fixedLength > 0 && fixedLength !== element.typeLength)) return false;
  if (type.kind !== 'timestamp' && type.kind !== 'time') return true;
  return logical?.unit !== 1 && converted !== CONVERTED.TIMESTAMP_MILLIS && converted !== CONVERTED.TIME_MILLIS;
}

function keyOf(type: PrimitiveType, scalar: Scalar, name: string): Key {
  const wrong = () =>
    new MillraceError('invalid', `Column "${name}" is ${type.kind}: it can't be compared with a ${typeof scalar}`, {
      code: 'parquet-predicate',
    });
  switch (type.kind) {
    case 'boolean':
      if (typeof scalar !== 'boolean') throw wrong();
      return scalar ? 1 : 0;
    case 'int':
    case 'date':
    case 'float':
    case 'double':
      if (typeof scalar !== 'number' && typeof scalar !== 'bigint') throw wrong();
      return Number(scalar);
    case 'string':
      if (typeof scalar !== 'string') throw wrong();
      return Buffer.from(scalar);
    case 'uuid': {
      const bytes = typeof scalar === 'string' ? Buffer.from(scalar.replaceAll('-', ''), 'hex') : scalar;
      if (!(bytes instanceof Uint8Array) || bytes.length !== 16) throw wrong();
      return bytes;
    }
    case 'binary':
    case 'fixed':
      if (!(scalar instanceof Uint8Array)) throw wrong();
      return scalar;
    default: {
      if (typeof scalar !== 'bigint' && !Number.isSafeInteger(scalar)) throw wrong();
      const value = BigInt(scalar as bigint | number);
      if (type.kind !== 'decimal') return value;
      if (type.precision <= 9) return Number(value);
      return type.precision <= 18 ? value : twosComplement(value, decimalBytes(type.precision));
    }
  }
}

/** Big endian; a value that is too great for the bytes becomes the greatest or the least of them. */
function twosComplement(value: bigint, length: number): Uint8Array {
  const limit = 1n << BigInt(8 * length - 1);
  const within = value >= limit ? limit - 1n : value < -limit ? -limit : value;
  return Buffer.from(
    BigInt.asUintN(8 * length, within)
      .toString(16)
      .padStart(2 * length, '0'),
    'hex',
  );
}

function keyOfPlain(type: PrimitiveType, plain: Uint8Array): Key | undefined {
  const { physical, fixedLength } = physicalType(type);
  const width = [1, 4, 8, 12, 4, 8, 0, fixedLength][physical]!;
  if (width > 0 && plain.length !== width && type.kind !== 'fixed') return undefined;
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  switch (physical) {
    case 0:
      return plain[0]!;
    case 1:
      return view.getInt32(0, true);
    case 2:
      return view.getBigInt64(0, true);
    case 4:
    case 5: {
      const value = physical === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
      return Number.isNaN(value) ? undefined : value;
    }
    default:
      return plain;
  }
}

function plainOf(type: PrimitiveType, key: Key): Uint8Array {
  if (key instanceof Uint8Array) return key;
  const view = new DataView(new ArrayBuffer(8));
  const of = (bytes: number) => new Uint8Array(view.buffer, 0, bytes);
  if (typeof key === 'bigint') {
    view.setBigInt64(0, BigInt.asIntN(64, key), true);
    return of(8);
  }
  if (type.kind === 'boolean') {
    view.setUint8(0, key);
    return of(1);
  }
  view.setInt32(0, key, true);
  return of(4);
}
