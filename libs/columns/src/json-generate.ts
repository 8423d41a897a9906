import type { ColumnRef } from './avro-step.ts';
import { type Column, reserve, setNull } from './column.ts';
import { emitJson } from './json-emit.ts';
import * as format from './json-format.ts';
import * as keys from './json-keys.ts';
import * as number from './json-number.ts';
import type { JsonWriter } from './json-properties.ts';
import * as scan from './json-scan.ts';
import type { JsonPlan } from './json-step.ts';
import { storeDefault } from './store.ts';

// Up to so many columns one function decodes a whole record; the optimising compiler gives up on larger ones.
const COLUMNS_IN_ONE = 60;

/** Decodes records [from, to) into rows from n on; answers how many it did before one that it does not like. */
export type JsonGenerated = (
  columns: readonly Column[],
  source: Uint8Array,
  starts: Int32Array,
  lengths: Int32Array,
  skip: number,
  from: number,
  to: number,
  n: number,
  /** Takes the lengths of the lists' and maps' domains before the record that it stopped at. */
  marks: Int32Array,
) => number;

/** Lists and maps: their domains are marked in this order. */
export const repeated = (plan: JsonPlan): ColumnRef[] =>
  plan.columns.filter(({ type }) => type.kind === 'list' || type.kind === 'map');

/**
 * A decoder as JavaScript made for one plan. The text holds numbers only: columns, names and defaults are reached by
 * index (C, K), the names of properties are compared as numbers: nothing that a schema's author wrote becomes code.
 *
 * Names in it: s = source, p = position, e = the record's end, n = row, c7 = column 7, d7 = the domain of list 7.
 */
export function generateJson(plan: JsonPlan): JsonGenerated {
  const isSplit = plan.columns.length > COLUMNS_IN_ONE;
  const writer: JsonWriter = { shared: [], functions: [], constants: [], isSplit, next: 0 };
  const body = emitJson(writer, plan.root, 'n', 0);
  const absent = plan.absent.map(({ column, json }) =>
    json === undefined
      ? `setNull(c${column.index}, n);`
      : `storeDefault(c${column.index}, n, K[${writer.constants.push(json) - 1}]);`,
  );
  const lists = repeated(plan);
  const variables = [...plan.columns.map(({ index }) => `c${index}`), ...lists.map(({ index }) => `d${index}`)];
  const declared = `let ${[...variables, ...writer.shared, 'view'].join(', ')};`;
  const text = `"use strict";
const { ${Object.keys(RUNTIME).join(', ')} } = R;
${writer.isSplit ? declared : ''}
${writer.functions.join('\n')}
return function (C, s, starts, lengths, skip, from, to, n, marks) {
  ${writer.isSplit ? '' : declared}
  view = new DataView(s.buffer, s.byteOffset, s.byteLength);
  ${plan.columns.map(({ index }) => `c${index} = C[${index}];`).join(' ')}
  ${lists.map(({ index }) => `d${index} = c${index}.childDomain;`).join(' ')}
  let i = from;
  try {
    for (; i < to; i++, n++) {
      ${lists.map(({ index }, at) => `marks[${at}] = d${index}.length;`).join(' ')}
      const length = lengths[i];
      if (length < 0) { ${plan.top.map(({ index }) => `setNull(c${index}, n);`).join(' ')} continue; }
      let p = starts[i] + skip;
      const e = starts[i] + length;
      p = space(s, p, e);
      if (p >= e || s[p] === 110) break;
      ${body}
      ${absent.join('\n')}
      if (p !== e) { p = space(s, p, e); if (p !== e) break; }
    }
  } catch (error) {
    if (error !== BROKEN) throw error;
  }
  return i - from;
};`;
  return new Function('R', 'K', text)(RUNTIME, writer.constants) as JsonGenerated;
}

const { BROKEN, broken, space, readNull, readBoolean, readText, readJson, skipValue } = scan;
const { colon, nextName, firstName, nextItem } = scan;
const { findKey, place, findBranches, checkKeys } = keys;
const { readInteger, readDouble, readWideDecimal, readNumber } = number;
const { readInstant, readDate, readTime, readBase64, readFormat } = format;

const RUNTIME = {
  ...{ BROKEN, broken, space, readNull, readBoolean, readText, readJson, skipValue },
  ...{ colon, nextName, firstName, nextItem, findKey, place, findBranches, checkKeys },
  ...{ readInteger, readDouble, readWideDecimal, readNumber, readInstant, readDate, readTime, readBase64, readFormat },
  ...{ setNull, storeDefault, reserve },
};
