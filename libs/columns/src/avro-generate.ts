import type { Decoder } from './avro-decoder.ts';
import { emit, emitFunction, type Writer } from './avro-emit.ts';
import * as runtime from './avro-runtime.ts';
import type { ColumnRef, Plan } from './avro-step.ts';
import { BadRecord } from './avro-value.ts';
import { type Column, constants, reserve, setNull, vectorKind } from './column.ts';
import type { RowBuilder } from './row-builder.ts';
import { storeDefault } from './store.ts';

// Up to so many columns one function with its arrays in local variables decodes a whole record, which is nearly twice as
// fast; the optimising compiler gives up on larger ones, and variables of the closure are shared by several.
const COLUMNS_IN_ONE = 100;

/**
 * A decoder as JavaScript made for one plan. The text holds numbers only: columns, schemas and defaults are reached by
 * index (C, K), so nothing that a schema's author wrote becomes code.
 *
 * Names in it: s = source, z = the last place of a load of four bytes, p = position, e = the record's end, n = row,
 * t = scratch, v7, l7 and w7 = values or starts, lengths and validity of column 7, d2 = domain 2, m2 = its length,
 * E0 = symbols.
 */
export function generateAvro(plan: Plan): (columnsOf: (rows: RowBuilder) => Column[]) => Decoder['decode'] {
  const domains = domainsOf(plan.columns);
  const whole = plan.columns.length <= COLUMNS_IN_ONE;
  const binds = domains.map(({ columns }) => columns.map(bindColumn).join(' '));
  const writer: Writer = {
    domainOf: (path) => domains.findIndex((domain) => domain.key === path.join('.')),
    rebind: (id) => (whole ? binds[id]! : `b${id}();`),
    columns: plan.columns,
    functions: [],
    constants: [],
    enums: [],
    next: 0,
  };
  const body = whole
    ? `p = starts[i] + skip;\n${emit(writer, plan.root, 'n')}`
    : `p = ${emitFunction(writer, plan.root)}(s, starts[i] + skip, e, n);`;
  const text = program(plan, writer, domains, binds, body, whole);
  const make = new Function('R', 'K', text) as (r: unknown, k: unknown[]) => Generated;
  return (columnsOf) => {
    const decode = make(RUNTIME, writer.constants);
    let bound: RowBuilder | undefined;
    let columns: Column[] = [];
    return (rows, starts, lengths, skip, from, to, n) => {
      if (bound !== rows) {
        columns = columnsOf(rows);
        bound = rows;
      }
      return decode(columns, rows.source, starts, lengths, skip, from, to, n);
    };
  };
}

type Generated = (
  columns: Column[],
  source: Uint8Array,
  starts: Int32Array,
  lengths: Int32Array,
  skip: number,
  from: number,
  to: number,
  n: number,
) => number;

const RUNTIME = {
  ...runtime,
  constants,
  reserve,
  setNull,
  storeDefault,
  isBroken: (error: unknown) => error === runtime.BROKEN || error instanceof BadRecord,
};

interface PlanDomain {
  /** Path of the list or map; the top level's is empty. */
  key: string;
  /** The list or map; undefined at the top level. */
  list?: ColumnRef;
  columns: ColumnRef[];
}

// Each column belongs to the domain of the nearest list or map above it.
function domainsOf(columns: readonly ColumnRef[]): PlanDomain[] {
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

function program(
  plan: Plan,
  writer: Writer,
  domains: PlanDomain[],
  binds: string[],
  body: string,
  whole: boolean,
): string {
  const variables = `let C, view, z, ${[
    ...plan.columns.map(({ index }) => `v${index}, l${index}, w${index}`),
    ...domains.map((_, id) => `d${id}, m${id}`),
    ...writer.enums.map((_, i) => `E${i}`),
  ].join(', ')};`;
  return `"use strict";
const { broken, scratch: t, readLong, readWideLong, readInt, readLength, readCount, timesThousand, longToNumber, orBytes,
  checkUtf8, decimal32, decimal64, decimalWide, uuidToText, jsonOrSkip, constants, reserve, setNull, storeDefault,
  isBroken } = R;
const cursor = { bytes: null, at: 0, end: 0, emptyItems: 0 };
${whole ? '' : variables}
${whole ? '' : binds.map((text, id) => `function b${id}() { ${text} }`).join('\n')}
${writer.functions.join('\n')}
return function (columns, s, starts, lengths, skip, from, to, n) {
  ${whole ? variables : ''}
  C = columns;
  view = new DataView(s.buffer, s.byteOffset, s.byteLength);
  z = s.byteLength - 4;
  ${domains.map(({ list }, id) => (list ? `d${id} = C[${list.index}].childDomain; m${id} = d${id}.length;` : '')).join(' ')}
  ${writer.enums.map(({ column, symbols }, i) => `E${i} = constants(C[${column}], K[${symbols}]);`).join(' ')}
  ${binds.join('\n')}
  let i = from, p = 0, b = 0, k = 0, q = 0;
  try {
    for (; i < to; i++, n++) {
      const length = lengths[i];
      if (length < 0) { ${plan.top.map(({ index }) => `setNull(C[${index}], n);`).join(' ')} continue; }
      cursor.emptyItems = 0;
      const e = starts[i] + length;
      ${body}
      if (p !== e) break;
    }
  } catch (error) {
    if (!isBroken(error)) throw error;
    // The item that was being written may have nulls: it counts among what is taken back.
    ${domains.map(({ list }, id) => (list ? `if (m${id} < d${id}.capacity) m${id}++;` : '')).join(' ')}
  }
  ${domains.map(({ list }, id) => (list ? `d${id}.length = m${id};` : '')).join(' ')}
  return i - from;
};`;
}

function bindColumn({ index, type }: ColumnRef): string {
  const from = `C[${index}]`;
  const validity = `w${index} = ${from}.validity;`;
  switch (vectorKind(type)) {
    case 'boolean':
      return `${validity} v${index} = ${from}.flags;`;
    case 'int32':
    case 'int64':
      return `${validity} v${index} = ${from}.ints;`;
    case 'float':
      return `${validity} v${index} = ${from}.floats;`;
    case 'double':
      return `${validity} v${index} = ${from}.doubles;`;
    case 'bytes':
      return `${validity} v${index} = ${from}.starts; l${index} = ${from}.lengths;`;
    case 'list':
    case 'map':
      return `${validity} l${index} = ${from}.lengths;`;
    case 'struct':
      return validity;
  }
}
