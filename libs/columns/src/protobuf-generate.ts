import type { Decoder } from './avro-decoder.ts';
import { broken, checkUtf8, orBytes, scratch } from './avro-runtime.ts';
import type { ColumnRef } from './avro-step.ts';
import { type Column, reserve, setNull, truncate } from './column.ts';
import { bindColumn, decodeInto, domainsOf, type GeneratedDecode, type PlanDomain } from './column-plan.ts';
import { emitBody, type ProtobufWriterText } from './protobuf-emit.ts';
import type { ProtobufInterpreter } from './protobuf-interpret.ts';
import * as put from './protobuf-put.ts';
import * as runtime from './protobuf-runtime.ts';
import type { ProtobufPlan } from './protobuf-step.ts';
import type { RowBuilder } from './row-builder.ts';
import { storeDefault } from './store.ts';

// Up to so many columns one function with its arrays in local variables decodes a whole record, which is nearly twice as
// fast; the optimising compiler gives up on larger ones, and variables of the closure are shared by several.
const COLUMNS_IN_ONE = 100;

/**
 * A decoder as JavaScript made for one plan. The text holds numbers only: columns, types and defaults are reached by
 * index (C, K), so nothing that a schema's author wrote becomes code.
 *
 * Names in it: s = source, p = position, e = a message's end, n = row, t = scratch, v7 and l7 = arrays of column 7, d2 =
 * domain 2, m2 = its length before the record, E0 = an enum's names, P = the plan; g, o, c: see protobuf-emit.ts.
 */
export function generateProtobuf(
  plan: ProtobufPlan,
  interpret: ProtobufInterpreter,
): (columnsOf: (rows: RowBuilder) => Column[]) => Decoder['decode'] {
  const domains = domainsOf(plan.columns);
  const split = plan.columns.length > COLUMNS_IN_ONE;
  const binds = domains.map(({ columns }) => columns.map(bindColumn).join(' '));
  const writer: ProtobufWriterText = {
    domainOf: (path) => domains.findIndex((domain) => domain.key === path.join('.')),
    rebind: (id) => (split ? `b${id}();` : binds[id]!),
    rebindAll: domains.map((_, id) => (split ? `b${id}();` : binds[id]!)).join(' '),
    split,
    functions: [],
    constants: [],
    enums: [],
    next: 0,
  };
  const body = emitBody(writer, plan.root, 'n', { end: 'e', depth: 0 });
  const text = program(plan, writer, domains, binds, body);
  const make = new Function('R', 'K', 'P', text) as (r: unknown, k: unknown[], p: ProtobufPlan) => GeneratedDecode;
  return (columnsOf) => decodeInto(make({ ...RUNTIME, interpret }, writer.constants, plan), columnsOf);
}

const RUNTIME = { ...runtime, ...put, broken, checkUtf8, orBytes, scratch, reserve, setNull, storeDefault, truncate };

function program(
  plan: ProtobufPlan,
  writer: ProtobufWriterText,
  domains: PlanDomain[],
  binds: string[],
  body: string,
): string {
  const { split } = writer;
  const lists = domains.flatMap(({ list }, id) => (list ? [{ list, id }] : []));
  const variables = `let C, view, ${[
    ...plan.columns.map(({ index }) => `v${index}, l${index}`),
    ...domains.map((_, id) => `d${id}`),
    ...writer.enums.map((_, i) => `E${i}`),
  ].join(', ')};`;
  return `"use strict";
const { ${Object.keys(RUNTIME).join(', ')}, interpret } = R;
const t = scratch;
${split ? variables : ''}
${split ? binds.map((text, id) => `function b${id}() { ${text} }`).join('\n') : ''}
${writer.functions.join('\n')}
return function (columns, s, starts, lengths, skip, from, to, n) {
  ${split ? '' : variables}
  C = columns;
  view = new DataView(s.buffer, s.byteOffset, s.byteLength);
  ${lists.map(({ list, id }) => `d${id} = C[${list.index}].childDomain; let m${id} = 0;`).join(' ')}
  ${writer.enums.map(({ column, type }, i) => `E${i} = enumNames(K[${type}], C[${column}]);`).join(' ')}
  ${binds.join('\n')}
  let i = from, p = 0, b = 0, k = 0, q = 0;
  for (; i < to; i++, n++) {
    const length = lengths[i];
    if (length < 0) { ${plan.top.map(({ index }) => `setNull(C[${index}], n);`).join(' ')} continue; }
    ${lists.map(({ id }) => `m${id} = d${id}.length;`).join(' ')}
    const e = starts[i] + length;
    try {
      p = starts[i] + skip;
      ${body}
      if (p !== e) break;
      ${plan.absent.map(({ column }, at) => `storeDefault(C[${column.index}], n, P.absent[${at}].json);`).join(' ')}
      ${plan.absent.length === 0 ? '' : writer.rebindAll}
    } catch (error) {
      if (isBroken(error)) break;
      if (error !== REDO) throw error;
      ${lists.map(({ id }) => `truncate(d${id}, m${id}, d${id}.length);`).join(' ')}
      ${domains[0]!.columns.map(({ index }: ColumnRef) => `C[${index}].validity[n >> 3] |= 1 << (n & 7);`).join(' ')}
      if (!interpretOr(interpret, C, s, starts[i] + skip, length - skip, n)) break;
      ${writer.rebindAll}
    }
  }
  return i - from;
};`;
}
