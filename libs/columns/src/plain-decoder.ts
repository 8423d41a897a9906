import type { TableSchema } from '@millrace/schema';
import { type Decoder, undecodable } from './avro-decoder.ts';
import { BROKEN, checkUtf8 } from './avro-runtime.ts';
import { BadRecord } from './avro-value.ts';
import { type Column, setNull } from './column.ts';
import type { RowBuilder } from './row-builder.ts';

/**
 * A decoder for keys or values without a schema: their bytes are the role's one column (binary for `bytes`, string, with
 * UTF-8 checked, for `string`). `none` leaves all columns of the role null.
 */
export function createPlainDecoder(
  encoding: 'bytes' | 'string' | 'none',
  table: TableSchema,
  role: 'value' | 'key',
): Decoder {
  const source = role === 'key' ? 'key' : undefined;
  const own = table.fields.map((field, at) => ({ field, at })).filter(({ field }) => field.source === source);
  const columnKind = encoding === 'bytes' ? 'binary' : 'string';
  const main =
    encoding === 'none'
      ? undefined
      : own.find(
          ({ field }) => field.type.kind === columnKind && (field.name === role || field.name.endsWith(`key_${role}`)),
        );
  const others = own.filter((column) => column !== main);
  const columnAt = (rows: RowBuilder, at: number): Column => rows.columns[at]!;
  return {
    decode(rows, starts, lengths, skip, from, to, n) {
      for (const { at } of others) for (let i = 0; i < to - from; i++) setNull(columnAt(rows, at), n + i);
      if (main === undefined) return to - from;
      const column = columnAt(rows, main.at);
      for (let i = from; i < to; i++, n++) {
        const length = lengths[i]! - skip;
        if (lengths[i]! < 0) setNull(column, n);
        else if (length < 0 || (encoding === 'string' && !isUtf8(rows.source, starts[i]! + skip, length)))
          return i - from;
        else {
          column.starts[n] = starts[i]! + skip;
          column.lengths[n] = length;
        }
      }
      return to - from;
    },
    explain: (_rows, _start, length, skip) =>
      undecodable(
        role,
        new BadRecord(
          length < skip
            ? `it has only ${length} bytes`
            : 'its bytes are not valid UTF-8, but it is declared to be a string',
        ),
      ),
  };
}

function isUtf8(bytes: Uint8Array, start: number, length: number): boolean {
  try {
    checkUtf8(bytes, start, start + length);
    return true;
  } catch (error) {
    if (error === BROKEN) return false;
    throw error;
  }
}
