import { MillraceError } from '@millrace/base';
import type { AvroType, TableSchema } from '@millrace/schema';
import { generateAvro } from './avro-generate.ts';
import { interpret } from './avro-interpret.ts';
import { planAvro } from './avro-plan.ts';
import type { Plan } from './avro-step.ts';
import { BadRecord } from './avro-value.ts';
import { type Column, setNull } from './column.ts';
import type { RowBuilder } from './row-builder.ts';

/**
 * Fills one role's columns (the value's or the key's) of rows that are being appended. Made for one writer schema and one
 * table schema; holds no rows, so it may serve many builders of that table schema.
 */
export interface Decoder {
  /**
   * Decodes bytes [starts[i] + skip, starts[i] + lengths[i]) for each i in [from, to) into rows n, n + 1, …; a length of
   * -1 leaves the row's columns null. Room for the rows is there. Answers how many it decoded: fewer than asked when the
   * next one is broken.
   */
  decode(
    rows: RowBuilder,
    starts: Int32Array,
    lengths: Int32Array,
    skip: number,
    from: number,
    to: number,
    n: number,
  ): number;
  /** What is wrong with a record that decode() stopped at: `corrupt`, code "record-undecodable", context `field`. */
  explain(rows: RowBuilder, start: number, length: number, skip: number, n: number): MillraceError;
}

export interface DecoderOptions {
  /** False: interpret instead of generating code, for a runtime that forbids it. Default: true where it is allowed. */
  generate?: boolean;
}

/**
 * A decoder from a writer schema into the columns of `table` that come from `role`. Throws `unsupported` (code
 * "schema-mismatch") when the table's columns can't take what the schema writes: the table must be evolved first.
 */
export function compileAvroDecoder(
  writer: AvroType,
  table: TableSchema,
  role: 'value' | 'key',
  options: DecoderOptions = {},
): Decoder {
  const plan = planAvro(writer, table, role);
  const columnsOf = (rows: RowBuilder): Column[] => plan.columns.map(({ path }) => find(rows.columns, path));
  const explain: Decoder['explain'] = (rows, start, length, skip, n) => {
    try {
      interpret(plan, columnsOf(rows), rows.source, start + skip, length - skip, n);
    } catch (error) {
      if (error instanceof BadRecord) return undecodable(role, error);
      throw error;
    }
    return undecodable(role, new BadRecord('its bytes break the schema'));
  };
  const generated = (options.generate ?? codeGenerationAllowed()) ? generateAvro(plan) : undefined;
  return { explain, decode: generated ? generated(columnsOf) : interpreted(plan, columnsOf) };
}

function interpreted(plan: Plan, columnsOf: (rows: RowBuilder) => Column[]): Decoder['decode'] {
  return (rows, starts, lengths, skip, from, to, n) => {
    const columns = columnsOf(rows);
    for (let i = from; i < to; i++, n++) {
      if (lengths[i]! < 0) {
        for (const { index } of plan.top) setNull(columns[index]!, n);
        continue;
      }
      try {
        interpret(plan, columns, rows.source, starts[i]! + skip, lengths[i]! - skip, n);
      } catch (error) {
        if (error instanceof BadRecord) return i - from;
        throw error;
      }
    }
    return to - from;
  };
}

export function find(columns: readonly Column[], path: number[]): Column {
  let column = columns[path[0]!]!;
  for (const at of path.slice(1)) column = column.children[at]!;
  return column;
}

export function undecodable(role: string, error: BadRecord): MillraceError {
  const where = error.path === '' ? `the ${role}` : `field ${error.path} of the ${role}`;
  return new MillraceError('corrupt', `The record does not fit its schema: in ${where}, ${error.message}`, {
    code: 'record-undecodable',
    context: { role, ...(error.path === '' ? {} : { field: error.path }) },
  });
}

let allowed: boolean | undefined;

/** Whether this runtime makes functions from text (node --disallow-code-generation-from-strings does not). */
export function codeGenerationAllowed(): boolean {
  if (allowed === undefined) {
    try {
      allowed = new Function('return true')() as boolean;
    } catch {
      allowed = false;
    }
  }
  return allowed;
}
