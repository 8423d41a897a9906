import type { Decoder } from './avro-decoder.ts';
import { bindDomain, emitPart, type Writer } from './avro-emit.ts';
import { type Piece, piecesOf } from './avro-parts.ts';
import * as runtime from './avro-runtime.ts';
import type { ColumnRef, Plan } from './avro-step.ts';
import { BadRecord } from './avro-value.ts';
import { type Column, constants, reserve, setNull } from './column.ts';
import { bindColumn, decodeInto, domainsOf, type GeneratedDecode } from './column-plan.ts';
import type { RowBuilder } from './row-builder.ts';
import { storeDefault } from './store.ts';

// A function's optimisation takes time and memory that grow faster than the function: 200 columns read in place took 200
// MB for a while, and more time than a hundred thousand records.
const MOST_IN_PLACE = 32;
const COLUMNS_A_PIECE = 12;
/** A field with more columns, which can't be taken apart, is decoded by several functions. */
const MOST_IN_ONE = 64;

/**
 * A decoder as JavaScript made for one plan. The text holds numbers only: columns, schemas and defaults are reached by
 * index (C, K), so nothing that a schema's author wrote becomes code.
 *
 * A piece of the plan (avro-parts.ts) is a function that goes over all records; where they are several, P keeps how far
 * each record has been read. Names in it: s = source, z = the last place of a load of four bytes, p = position, e = the
 * record's end, n = row, t = scratch, v7, l7 and w7 = values or starts, lengths and validity of column 7, d2 = domain 2,
 * m2 = its length, E0 = symbols.
 */
export function generateAvro(plan: Plan): (columnsOf: (rows: RowBuilder) => Column[]) => Decoder['decode'] {
  const writer: Writer = {
    domains: domainsOf(plan.columns),
    isWhole: true,
    inPlace: plan.columns.length <= MOST_IN_PLACE,
    bind: bindWithValidity,
    columns: plan.columns,
    functions: [],
    constants: [],
    enums: [],
    next: 0,
  };
  const pieces = piecesOf(plan, writer.inPlace ? MOST_IN_PLACE : COLUMNS_A_PIECE);
  const text = program(writer, pieces, plan.top);
  const make = new Function('R', 'K', text) as (r: unknown, k: unknown[]) => GeneratedDecode;
  return (columnsOf) => decodeInto(make(RUNTIME, writer.constants), columnsOf);
}

const RUNTIME = {
  ...runtime,
  constants,
  reserve,
  setNull,
  storeDefault,
  isBroken: (error: unknown) => error === runtime.BROKEN || error instanceof BadRecord,
};

function program(writer: Writer, pieces: Piece[], top: readonly ColumnRef[]): string {
  const several = pieces.length > 1;
  const texts = pieces.map((piece, at) => {
    const first = at === 0;
    const length = first
      ? `if (length < 0) { ${top.map(({ index }) => `setNull(C[${index}], n);`).join(' ')} continue; }`
      : 'if (length < 0) continue;';
    const begin = first
      ? 'p = starts[i] + skip; cursor.emptyItems = 0;'
      : 'p = P[2 * (i - from)]; cursor.emptyItems = P[2 * (i - from) + 1];';
    const end =
      at === pieces.length - 1
        ? 'if (p !== e) break;'
        : 'P[2 * (i - from)] = p; P[2 * (i - from) + 1] = cursor.emptyItems;';
    return emitPiece(writer, piece, at, `${length}\nconst e = starts[i] + length;\n${begin}`, end);
  });
  return `"use strict";
const { broken, scratch: t, readLong, readWideLong, readLongAtOnce, readInt, readLength, readCount, timesThousand, longToNumber, orBytes,
  readText, checkUtf8, decimal32, decimal64, decimalWide, uuidToText, jsonOrSkip, constants, reserve, setNull, storeDefault,
  isBroken } = R;
const cursor = { bytes: null, at: 0, end: 0, emptyItems: 0 };
let C, view, z, P = new Int32Array(0);
${writer.functions.join('\n')}
${texts.join('\n')}
return function (columns, s, starts, lengths, skip, from, to, n) {
  C = columns;
  view = new DataView(s.buffer, s.byteOffset, s.byteLength);
  z = s.byteLength - 4;
  ${several ? 'if (P.length < 2 * (to - from)) P = new Int32Array(2 * (to - from));' : ''}
  ${pieces.map((_, at) => `to = g${at}(C, view, z, s, starts, lengths, skip, from, to, n);`).join('\n  ')}
  return to - from;
};`;
}

/** A function g<at> over all records that answers the first that it could not decode, or `to`. */
function emitPiece(writer: Writer, { parts, columns }: Piece, at: number, begin: string, end: string): string {
  const enums = writer.enums.length;
  const functions = writer.functions.length;
  writer.isWhole = columns.length <= MOST_IN_ONE;
  const domains = writer.domains.flatMap(({ list }, id) => (list && columns.includes(list) ? [{ id, list }] : []));
  const body = parts
    .map(({ step, within }) => {
      const text = emitPart(writer, step);
      return within === undefined ? text : `if ((w${within.index}[n >> 3] >> (n & 7) & 1) !== 0) {\n${text}\n}`;
    })
    .join('\n');
  const names = [
    ...columns.map(({ index }) => `v${index}, l${index}, w${index}`),
    ...domains.map(({ id }) => `d${id}, m${id}`),
    ...writer.enums.slice(enums).map((_, i) => `E${enums + i}`),
  ];
  const variables = names.length === 0 ? '' : `let ${names.join(', ')};`;
  // The functions of a piece that is too large for one see its variables, which are then not the function's own.
  const shared = writer.isWhole
    ? ''
    : `${variables}\n${writer.functions.splice(functions).join('\n')}\n${domains.map(({ id }) => `function b${id}() { ${bindDomain(writer, id)} }`).join('\n')}\n`;
  return `${shared}function g${at}(${writer.isWhole ? 'C, view, z' : '_C, _view, _z'}, s, starts, lengths, skip, from, to, n) {
  ${writer.isWhole ? variables : ''}
  ${domains.map(({ id, list }) => `d${id} = C[${list.index}].childDomain; m${id} = d${id}.length;`).join(' ')}
  ${writer.enums
    .slice(enums)
    .map(({ column, symbols }, i) => `E${enums + i} = constants(C[${column}], K[${symbols}]);`)
    .join(' ')}
  ${columns.map(bindWithValidity).join('\n  ')}
  let i = from, p = 0, b = 0, k = 0, q = 0;
  try {
    for (; i < to; i++, n++) {
      const length = lengths[i];
      ${begin}
      ${body}
      ${end}
    }
  } catch (error) {
    if (!isBroken(error)) throw error;
    // The item that was being written may have nulls: it counts among what is taken back.
    ${domains.map(({ id }) => `if (m${id} < d${id}.capacity) m${id}++;`).join(' ')}
  }
  ${domains.map(({ id }) => `d${id}.length = m${id};`).join(' ')}
  return i;
}`;
}

/** With the validity too: nulls are written in place. */
const bindWithValidity = (column: ColumnRef): string =>
  `w${column.index} = C[${column.index}].validity; ${bindColumn(column)}`;
