import type { ProtobufWriter, TableSchema } from '@millrace/schema';
import { codeGenerationAllowed, type Decoder, type DecoderOptions, find, undecodable } from './avro-decoder.ts';
import { BadRecord } from './avro-value.ts';
import { type Column, setNull } from './column.ts';
import { generateProtobuf } from './protobuf-generate.ts';
import { interpretProtobuf } from './protobuf-interpret.ts';
import { planProtobuf } from './protobuf-plan.ts';
import { interpretOr } from './protobuf-runtime.ts';
import type { RowBuilder } from './row-builder.ts';

/**
 * A decoder from one message type into the columns of `table` that come from `role`. Throws `unsupported` (code
 * "schema-mismatch") when the table's columns can't take what the message has: the table must be evolved first.
 */
export function compileProtobufDecoder(
  writer: ProtobufWriter,
  table: TableSchema,
  role: 'value' | 'key',
  options: DecoderOptions = {},
): Decoder {
  const plan = planProtobuf(writer, table, role);
  const interpret = interpretProtobuf(plan);
  const columnsOf = (rows: RowBuilder): Column[] => plan.columns.map(({ path }) => find(rows.columns, path));
  const generated = (options.generate ?? codeGenerationAllowed()) ? generateProtobuf(plan, interpret) : undefined;
  return {
    explain(rows, start, length, skip, n) {
      try {
        interpret(columnsOf(rows), rows.source, start + skip, length - skip, n);
      } catch (error) {
        if (error instanceof BadRecord) return undecodable(role, error);
        throw error;
      }
      return undecodable(role, new BadRecord('its bytes break the schema'));
    },
    decode:
      generated?.(columnsOf) ??
      ((rows, starts, lengths, skip, from, to, n) => {
        const columns = columnsOf(rows);
        for (let i = from; i < to; i++, n++) {
          if (lengths[i]! < 0) for (const { index } of plan.top) setNull(columns[index]!, n);
          else if (!interpretOr(interpret, columns, rows.source, starts[i]! + skip, lengths[i]! - skip, n))
            return i - from;
        }
        return to - from;
      }),
  };
}
