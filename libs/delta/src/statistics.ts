import { decimalText, decodeSingleValue, isPrimitive, type PrimitiveType, type TableSchema } from '@millrace/schema';
import { exactNumber, stringifyJson } from './json.ts';

/** What is known of one leaf column of one file; bounds are Iceberg single values (its specification, appendix D). */
export interface ColumnBounds {
  fieldId: number;
  /** Nulls of the leaf, those of its parents included. */
  nullCount: bigint;
  /** float and double: bounds are those of the other values. undefined = unknown. */
  nanCount?: bigint | undefined;
  lowerBound?: Uint8Array | undefined;
  upperBound?: Uint8Array | undefined;
}

/**
 * Makes the `stats` of files (protocol, "Per-file Statistics"): {"numRecords", "minValues", "maxValues", "nullCount"},
 * the last three nested as the schema is. Bounds may be wider than the values, never narrower, so that skipping by them
 * is right:
 *
 * - timestamps have milliseconds in Delta: the lower is rounded down, the upper up;
 * - decimals and longs are JSON numbers with all their digits;
 * - a float or double column that may hold NaN has no maximum: engines that skip by it order NaN above all numbers;
 * - left out: infinite bounds, dates outside the years 1 to 9999, strings that are not UTF-8, boolean, binary, lists,
 *   maps.
 */
export function statisticsWriter(
  schema: TableSchema,
): (recordCount: bigint, columns: Iterable<ColumnBounds>) => string {
  const leaves = leavesOf(schema.fields, []);
  return (recordCount, columns) => {
    const minValues = emptyTree();
    const maxValues = emptyTree();
    const nullCount = emptyTree();
    for (const column of columns) {
      const leaf = leaves.get(column.fieldId);
      if (leaf === undefined) continue;
      const { path, type } = leaf;
      setLeaf(nullCount, path, column.nullCount);
      const mayBeNan = (type.kind === 'float' || type.kind === 'double') && column.nanCount !== 0n;
      const min = column.lowerBound && bound(type, column.lowerBound, false);
      const max = column.upperBound && !mayBeNan ? bound(type, column.upperBound, true) : undefined;
      if (min !== undefined) setLeaf(minValues, path, min);
      if (max !== undefined) setLeaf(maxValues, path, max);
    }
    return stringifyJson({ numRecords: recordCount, minValues, maxValues, nullCount });
  };
}

interface Tree {
  [name: string]: unknown;
}

/** Column names are the topic's: "__proto__" is one like any other. */
const emptyTree = (): Tree => Object.create(null);

/** Leaves that are not inside a list or a map, by field id. */
function leavesOf(
  fields: TableSchema['fields'],
  parents: string[],
  leaves = new Map<number, { path: string[]; type: PrimitiveType }>(),
) {
  for (const { id, name, type } of fields) {
    const path = [...parents, name];
    if (type.kind === 'struct') leavesOf(type.fields, path, leaves);
    else if (isPrimitive(type)) leaves.set(id, { path, type });
  }
  return leaves;
}

function setLeaf(tree: Tree, path: string[], value: unknown): void {
  let node = tree;
  for (const name of path.slice(0, -1)) node = (node[name] ??= emptyTree()) as Tree;
  node[path.at(-1)!] = value;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function bound(type: PrimitiveType, bytes: Uint8Array, up: boolean): unknown {
  switch (type.kind) {
    case 'int':
    case 'long':
      return decodeSingleValue(type, bytes);
    case 'float':
    case 'double': {
      const value = decodeSingleValue(type, bytes) as number;
      return Number.isFinite(value) ? value : undefined;
    }
    case 'decimal':
      return exactNumber(decimalText(decodeSingleValue(type, bytes) as bigint, type.scale));
    case 'date':
      return isoText((decodeSingleValue(type, bytes) as number) * 86_400_000)?.slice(0, 10);
    case 'timestamp': {
      const micros = decodeSingleValue(type, bytes) as bigint;
      const floor = micros / 1000n - (micros % 1000n < 0n ? 1n : 0n);
      const text = isoText(Number(up && micros % 1000n !== 0n ? floor + 1n : floor));
      return type.adjusted ? text : text?.replace('Z', '');
    }
    case 'string':
      try {
        return utf8.decode(bytes);
      } catch {
        return undefined;
      }
    default:
      return undefined;
  }
}

/** "2026-11-22T20:13:05.123Z"; undefined outside the years 1 to 9999, which not every reader can parse. */
function isoText(ms: number): string | undefined {
  if (!(ms >= -62_135_596_800_000 && ms < 253_402_300_800_000)) return undefined;
  return new Date(ms).toISOString();
}
