import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { canonicalUri, readMetadata, type TableFiles } from './table-files.ts';
import { parseTableMetadata, serializeTableMetadata } from './table-metadata.ts';

// The specification's example of version 1, shortened.
const v1 = {
  'format-version': 1,
  'table-uuid': 'd20125c8-7284-442c-9aea-15fee620737c',
  location: 's3://bucket/test/location',
  'last-updated-ms': 1602638573874,
  'last-column-id': 3,
  schema: { type: 'struct', fields: [{ id: 1, name: 'x', required: true, type: 'long' }] },
  'partition-spec': [{ name: 'x', transform: 'identity', 'source-id': 1, 'field-id': 1000 }],
  properties: {},
  'current-snapshot-id': -1,
  snapshots: [],
};

describe('table metadata', () => {
  test('version 1 is read with what it lacks filled in, and written in its own form', () => {
    const metadata = parseTableMetadata(JSON.stringify(v1), 'v1.metadata.json');
    expect(metadata).toMatchObject({
      'current-schema-id': 0,
      schemas: [{ 'schema-id': 0 }],
      'default-spec-id': 0,
      'partition-specs': [{ 'spec-id': 0, fields: [{ 'field-id': 1000 }] }],
      'last-partition-id': 1000,
      'sort-orders': [{ 'order-id': 0, fields: [] }],
      refs: {},
    });
    expect('current-snapshot-id' in metadata).toBe(false);
    const written = JSON.parse(serializeTableMetadata(metadata));
    expect(written['partition-spec']).toEqual(v1['partition-spec']);
    expect(written.schema.fields).toEqual(v1.schema.fields);
    expect('last-sequence-number' in written).toBe(false);
  });

  test('version 2: ids of 63 bits are exact, unknown keys stay, main is the current snapshot', () => {
    const text = `{"format-version":2,"table-uuid":"u","location":"l","last-sequence-number":1,"last-updated-ms":1,
      "last-column-id":1,"current-schema-id":0,"schemas":[{"type":"struct","schema-id":0,"fields":[]}],"default-spec-id":0,
      "partition-specs":[{"spec-id":0,"fields":[]}],"last-partition-id":999,"default-sort-order-id":0,"sort-orders":[],
      "current-snapshot-id":9223372036854775807,"snapshots":[{"snapshot-id":9223372036854775807,"timestamp-ms":1,
      "sequence-number":1,"manifest-list":"m","summary":{"operation":"append"},"new-key":[1]}],"future":9223372036854775806}`;
    const metadata = parseTableMetadata(text, 'test');
    expect(metadata.refs).toEqual({ main: { 'snapshot-id': 9223372036854775807n, type: 'branch' } });
    const written = serializeTableMetadata(metadata);
    expect(written).toContain('"current-snapshot-id":9223372036854775807');
    expect(written).toContain('"future":9223372036854775806');
    expect(written).toContain('"new-key":[1]');
  });

  test('what is broken or from the future is named', () => {
    expect(() => parseTableMetadata('[]', 'a.json')).toThrow(/a.json has format version undefined/);
    expect(() => parseTableMetadata('{"format-version":9}', 'a.json')).toThrow(/format version 9; versions 1 to 3/);
    expect(() => parseTableMetadata('{"format-version":2,"location":"x"}', 'a.json')).toThrow(/no schema/);
  });

  test('compressed metadata', async () => {
    const read = async () => gzipSync(JSON.stringify(v1));
    const metadata = await readMetadata({ read } as unknown as TableFiles, 'file:///t/00001-x.gz.metadata.json');
    expect(metadata.location).toBe(v1.location);
  });

  test('locations as Hadoop writes them', () => {
    expect(['file:/a/b', '/a/b', 'file:///a/b', 's3://b/k'].map(canonicalUri)).toEqual([
      'file:///a/b',
      'file:///a/b',
      'file:///a/b',
      's3://b/k',
    ]);
  });
});
