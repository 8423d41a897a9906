import type { JsonSchema, TableSchema } from '@millrace/schema';
import { codeGenerationAllowed, type Decoder, type DecoderOptions, find, undecodable } from './avro-decoder.ts';
import { BadRecord } from './avro-value.ts';
import { type Column, setNull, truncate } from './column.ts';
import { generateJson, type JsonGenerated, repeated } from './json-generate.ts';
import { interpretJson } from './json-interpret.ts';
import { arrangeJson } from './json-order.ts';
import { planJson } from './json-plan.ts';
import type { JsonPlan } from './json-step.ts';
import type { RowBuilder } from './row-builder.ts';

/**
 * A decoder from JSON text (RFC 8259, strictly) into the columns of `table` that come from `role`. Properties are matched
 * by name, those that the schema or the table lacks are passed over; of properties with one name the last counts; a
 * property that is left out takes its default, null never does. The schema says what a value becomes, and is not used to
 * validate: a value that its column can hold is taken. Exactly so: numbers beyond 64 bits, fractions of an integer, more
 * decimals than the column has, times finer than a microsecond or without an offset, and half a surrogate pair in a
 * string are refused, not altered. At most 500 levels. Throws `unsupported` (code "schema-mismatch") when the table's
 * columns can't take what the schema describes: the table must be evolved first.
 */
export function compileJsonDecoder(
  writer: JsonSchema,
  table: TableSchema,
  role: 'value' | 'key',
  options: DecoderOptions = {},
): Decoder {
  return decoderOf(planJson(writer, table, role), role, options);
}

/** A decoder for JSON without a schema: the text, its grammar checked, is the role's one column. */
export const createJsonTextDecoder = (
  table: TableSchema,
  role: 'value' | 'key',
  options: DecoderOptions = {},
): Decoder => decoderOf(planJson(undefined, table, role), role, options);

function decoderOf(plan: JsonPlan, role: 'value' | 'key', options: DecoderOptions): Decoder {
  const isGenerated = options.generate ?? codeGenerationAllowed();
  let generated: JsonGenerated | undefined;
  const lists = repeated(plan);
  const marks = new Int32Array(lists.length);
  let bound: RowBuilder | undefined;
  let columns: Column[] = [];
  const bind = (rows: RowBuilder): void => {
    if (bound === rows) return;
    columns = plan.columns.map(({ path }) => find(rows.columns, path));
    bound = rows;
  };
  return {
    decode(rows, starts, lengths, skip, from, to, n) {
      bind(rows);
      const { source } = rows;
      if (isGenerated && !generated && lengths.subarray(from, to).some((length) => length >= 0))
        generated = generateJson(arrangeJson(plan, source, starts, lengths, skip, from, to));
      for (let at = from; at < to; at++) {
        if (generated) at += generated(columns, source, starts, lengths, skip, at, to, n + at - from, marks);
        if (at >= to) break;
        const row = n + at - from;
        if (generated) takeBack(plan, columns, marks, row);
        if (!interpreted(plan, columns, source, starts[at]!, lengths[at]!, skip, row)) return at - from;
      }
      return to - from;
    },
    explain(rows, start, length, skip, n) {
      bind(rows);
      try {
        interpretJson(plan, columns, rows.source, start + skip, length - skip, n);
      } catch (error) {
        if (error instanceof BadRecord) return undecodable(role, error);
        throw error;
      }
      return undecodable(role, new BadRecord('its bytes break the schema'));
    },
  };
}

function interpreted(
  plan: JsonPlan,
  columns: readonly Column[],
  source: Uint8Array,
  start: number,
  length: number,
  skip: number,
  n: number,
): boolean {
  if (length < 0) {
    for (const { index } of plan.top) setNull(columns[index]!, n);
    return true;
  }
  try {
    interpretJson(plan, columns, source, start + skip, length - skip, n);
    return true;
  } catch (error) {
    if (error instanceof BadRecord) return false;
    throw error;
  }
}

// What generated code has written of the record that it stopped at: elements, and nulls in its row.
function takeBack(plan: JsonPlan, columns: readonly Column[], marks: Int32Array, n: number): void {
  for (const [at, { index }] of repeated(plan).entries()) {
    const domain = columns[index]!.childDomain!;
    truncate(domain, marks[at]!, domain.length);
  }
  const top = plan.top.length === 0 ? undefined : columns[plan.top[0]!.index]!.domain;
  for (const column of columns) if (column.domain === top) column.validity[n >> 3]! |= 1 << (n & 7);
}
