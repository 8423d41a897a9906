import type { TableSchema } from '@millrace/schema';
import { type Decoder, undecodable } from './avro-decoder.ts';
import { BROKEN, checkUtf8, isAscii } from './avro-runtime.ts';
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
      const { source } = rows;
      const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
      for (let i = from; i < to; i++, n++) {
        if (lengths[i]! < 0) {
          setNull(column, n);
          continue;
        }
        const start = starts[i]! + skip;
        const end = starts[i]! + lengths[i]!;
        if (start > end) return i - from;
        if (encoding === 'string' && !isAscii(view, source, start, end) && !isUtf8(source, start, end)) return i - from;
        column.starts[n] = start;
        column.lengths[n] = end - start;
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

function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  try {
    checkUtf8(bytes, start, end);
    return true;
  } catch (error) {
    if (error === BROKEN) return false;
    throw error;
  }
}
