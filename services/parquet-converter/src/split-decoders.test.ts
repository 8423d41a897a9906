import { create } from '@bufbuild/protobuf';
import { appendRecords, createRowBuilder } from '@millrace/columns';
import { createRecordIndex, encodeRecordBatch } from '@millrace/kafka-log';
import { RecordFormatSchema, SplitSchema } from '@millrace/proto/metadata_discovery';
import { deriveTableSchema, messageAt, parseProtobufSchema, toIcebergSchemaJson } from '@millrace/schema';
import { expect, it } from 'vitest';
import { createDecoderCache } from './decoder-cache.ts';
import { createRecordSchemas, NULL_RECORD, runFrom, UNFRAMED } from './record-schemas.ts';
import { createSplitDecoders } from './split-decoders.ts';

const PROTO =
  'syntax = "proto3"; message A { string s = 1; } message B { int32 n = 2; message In { string deep = 3; } }';
const file = parseProtobufSchema(PROTO);
const frame = (indexes: number[], ...payload: number[]) => Uint8Array.of(0, 0, 0, 0, 7, ...indexes, ...payload);
const s = (text: string) => [10, text.length, ...Buffer.from(text)];

function indexOf(values: (Uint8Array | null)[], key: Uint8Array | null = null) {
  const index = createRecordIndex();
  const batch = encodeRecordBatch({ baseOffset: 0, records: values.map((value) => ({ timestampMs: 1, key, value })) });
  index.add(batch, 0, { segment: 'x', startByte: 0 });
  return index;
}

it('tells Protobuf records apart by schema, message and the length of what stands before them', () => {
  const values = [
    frame([0], ...s('first')),
    null,
    frame([0], ...s('second')),
    // [0] in its long form: the same message, another length.
    frame([2, 0], ...s('long')),
    frame([2, 2], 16, 5),
    frame([4, 2, 0], 26, 1, 65),
    // An index that is cut, a negative count, more indexes than make sense, no frame.
    frame([2]),
    frame([1]),
    frame([0xff, 0xff, 0xff, 0x0f]),
    Uint8Array.of(1, 2, 3),
    frame([0]),
  ];
  const index = indexOf(values);
  const format = create(RecordFormatSchema, { encoding: 'protobuf', framing: 'confluent' });
  const schemas = createRecordSchemas(format, undefined)(index);
  const runs = [];
  for (let from = 0; from < index.count; ) {
    const run = runFrom(schemas, from, index.count);
    runs.push([run.to - from, run.valueSchema, run.valueFrame?.indexes, run.valueFrame?.bytes]);
    from = run.to;
  }
  const unframed = [1, UNFRAMED, undefined, undefined];
  expect(runs).toEqual([
    [3, 7, [0], 6],
    [1, 7, [0], 7],
    [1, 7, [1], 7],
    [1, 7, [1, 0], 8],
    ...[unframed, unframed, unframed, unframed],
    [1, 7, [0], 6],
  ]);
  expect(schemas.values[1]).toBe(NULL_RECORD);
});

it('decodes each message of a schema, and says what is wrong with records that have none', async () => {
  const sources = file.messages.map((schema) => ({ encoding: 'protobuf' as const, schema }));
  const fields = sources.flatMap((value) => deriveTableSchema({ value, key: { encoding: 'none' } }).fields.slice(0, 1));
  const table = { schemaId: 1, lastColumnId: 2, fields: fields.map((field, at) => ({ ...field, id: at + 1 })) };
  const asked: number[][] = [];
  const decoders = createSplitDecoders(
    create(SplitSchema, {
      topic: 't',
      table: { namespace: 'n', name: 't' },
      tableSchemaJson: toIcebergSchemaJson(table),
      valueFormat: { encoding: 'protobuf', framing: 'confluent' },
      keyFormat: { encoding: 'none' },
    }),
    {
      decoders: createDecoderCache(),
      splits: {
        async resolveSchema({ messageIndexes = [] }) {
          asked.push([...messageIndexes]);
          const message = messageAt(file, messageIndexes)!.fullName;
          return { schemaType: 'protobuf', schemaText: PROTO, message, tableSchemaJson: '' } as never;
        },
      },
    },
  );
  const index = indexOf([frame([0], ...s('a')), frame([2, 2], 16, 5), frame([2, 2], 16, 6), frame([2])]);
  const format = create(RecordFormatSchema, { encoding: 'protobuf', framing: 'confluent' });
  const schemas = createRecordSchemas(format, undefined)(index);
  const rows = createRowBuilder(decoders.table);
  for (let from = 0; from < 3; ) {
    const run = runFrom(schemas, from, index.count);
    const resolved = await decoders.resolve(run, index, from);
    expect(resolved.failed).toEqual([]);
    expect(appendRecords(rows, resolved.decoders, index, from, run.to)).toEqual({ appended: run.to - from });
    from = run.to;
  }
  expect(asked).toEqual([[0], [1]]);
  const [text, number] = rows.batch().columns as unknown as { nullCount: number; values: Int32Array }[];
  expect([text!.nullCount, number!.nullCount, ...number!.values.subarray(1, 3)]).toEqual([2, 1, 5, 6]);
  const { failed } = await decoders.resolve(runFrom(schemas, 3, 4), index, 3);
  expect(failed[0]!.error.message).toContain('has no message indexes after its schema id 7');
});
