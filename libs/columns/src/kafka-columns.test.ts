import { createRecordIndex, encodeRecordBatch } from '@millrace/kafka-log';
import { deriveTableSchema } from '@millrace/schema';
import { expect, it } from 'vitest';
import { appendRecords } from './append.ts';
import { createPlainDecoder } from './plain-decoder.ts';
import { createRowBuilder } from './row-builder.ts';
import { indexOf, rowsOf } from './rows.test.fixture.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const table = deriveTableSchema({ value: { encoding: 'bytes' }, key: { encoding: 'string' } });
const decoders = {
  value: createPlainDecoder('bytes', table, 'value'),
  key: createPlainDecoder('string', table, 'key'),
  kafka: { partition: 6, schemaId: 12 },
};

it('fills _kafka, key and value from real batches, in arenas one after the other', () => {
  const index = createRecordIndex();
  const rows = createRowBuilder(table);
  for (let arena = 0; arena < 2; arena++) {
    rows.reset();
    index.clear();
    const first = encodeRecordBatch({
      baseOffset: 2 ** 40,
      codec: 'zstd',
      leaderEpoch: 9,
      records: [
        {
          timestampMs: 1_700_000_000_123,
          key: bytes('k\u00e9'),
          value: bytes('v'),
          headers: [
            { key: 'a', value: bytes('1') },
            { key: 'a', value: null },
            { key: '', value: bytes('') },
          ],
        },
        { timestampMs: -1, key: null, value: null, offsetDelta: 5 },
      ],
    });
    const second = encodeRecordBatch({
      baseOffset: 2 ** 40 + 10,
      leaderEpoch: -1,
      appendTimeMs: 5,
      records: [{ timestampMs: 1, value: bytes('') }],
    });
    for (const batch of [first, second]) index.add(batch, 0, { segment: 's', startByte: 0 });
    expect(appendRecords(rows, decoders, index, 0, index.count)).toEqual({ appended: 3 });
    expect(rowsOf(rows.batch())).toEqual([
      {
        value: Buffer.from('v'),
        key: 'k\u00e9',
        _kafka: {
          partition: 6,
          offset: 2n ** 40n,
          timestamp: 1_700_000_000_123_000n,
          timestamp_type: 'CreateTime',
          leader_epoch: 9,
          headers: [
            { key: 'a', value: Buffer.from('1') },
            { key: 'a', value: null },
            { key: '', value: Buffer.from('') },
          ],
          schema_id: 12,
          op: 'append',
        },
      },
      {
        value: null,
        key: null,
        _kafka: {
          partition: 6,
          offset: 2n ** 40n + 5n,
          timestamp: null,
          timestamp_type: 'CreateTime',
          leader_epoch: 9,
          headers: [],
          schema_id: null,
          op: 'delete',
        },
      },
      {
        value: Buffer.from(''),
        key: null,
        _kafka: {
          partition: 6,
          offset: 2n ** 40n + 10n,
          timestamp: 5000n,
          timestamp_type: 'LogAppendTime',
          leader_epoch: null,
          headers: [],
          schema_id: 12,
          op: 'append',
        },
      },
    ]);
  }
});

it.each([
  ['a key that is no string', { keys: [Uint8Array.of(0xff)] }, 'key', undefined],
  ['a header name that is no string', { header: [2, 0xff, 0] }, 'record', 'headers'],
  ['a timestamp beyond microseconds', { ms: 2 ** 60 }, 'record', 'timestamp'],
])(
  'stops at %s, and the rows stay whole',
  (_name, { keys, header, ms }: { keys?: Uint8Array[]; header?: number[]; ms?: number }, role, field) => {
    const index = indexOf([bytes('x'), bytes('y'), Uint8Array.from(header ?? [])], [null, ...(keys ?? [])]);
    index.timestampsMs[1] = ms ?? 0;
    index.headerStarts[1] = index.valueStarts[2]!;
    index.headerCounts[1] = header ? 1 : 0;
    const rows = createRowBuilder(table);
    const { appended, error } = appendRecords(rows, decoders, index, 0, 3);
    expect(appended).toBe(1);
    expect(error).toMatchObject({ code: 'record-undecodable', context: { role, ...(field ? { field } : {}) } });
    expect(appendRecords(rows, decoders, index, 2, 3)).toEqual({ appended: 1 });
    expect(rowsOf(rows.batch()).map((row) => (row['_kafka'] as { offset: bigint }).offset)).toEqual([1000n, 1002n]);
  },
);
