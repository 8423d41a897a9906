import type { Decoder } from './avro-decoder.ts';
import type { ColumnRef } from './avro-step.ts';
import { type Column, vectorKind } from './column.ts';
import type { RowBuilder } from './row-builder.ts';

/** The columns of a plan that repeat together: those of the top level, or those below one list or map. */
export interface PlanDomain {
  /** Path of the list or map; the top level's is empty. */
  key: string;
  /** The list or map; undefined at the top level. */
  list?: ColumnRef;
  columns: ColumnRef[];
}

/** The domains of a plan's columns, the top level first: each column belongs to the nearest list or map above it. */
export function domainsOf(columns: readonly ColumnRef[]): PlanDomain[] {
  const lists = columns.filter(({ type }) => type.kind === 'list' || type.kind === 'map');
  const domains: PlanDomain[] = [{ key: '', columns: [] }];
  for (const list of lists) domains.push({ key: list.path.join('.'), list, columns: [] });
  const byKey = new Map(domains.map((domain) => [domain.key, domain]));
  for (const column of columns) {
    let above = column.path.length - 1;
    while (above > 0 && !byKey.has(column.path.slice(0, above).join('.'))) above--;
    byKey.get(column.path.slice(0, above).join('.'))!.columns.push(column);
  }
  return domains;
}

/** Generated code: loads column i's arrays from C[i] into the variables v<i> and l<i>. */
export function bindColumn({ index, type }: ColumnRef): string {
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
    default:
      return '';
  }
}

/** What generated code decodes records [from, to) by, into rows n, n + 1, … of the columns; see Decoder. */
export type GeneratedDecode = (
  columns: Column[],
  source: Uint8Array,
  starts: Int32Array,
  lengths: Int32Array,
  skip: number,
  from: number,
  to: number,
  n: number,
) => number;

/** A decoder over generated code, that finds its columns anew only in other rows. */
export function decodeInto(decode: GeneratedDecode, columnsOf: (rows: RowBuilder) => Column[]): Decoder['decode'] {
  let bound: RowBuilder | undefined;
  let columns: Column[] = [];
  return (rows, starts, lengths, skip, from, to, n) => {
    if (bound !== rows) {
      columns = columnsOf(rows);
      bound = rows;
    }
    return decode(columns, rows.source, starts, lengths, skip, from, to, n);
  };
}
