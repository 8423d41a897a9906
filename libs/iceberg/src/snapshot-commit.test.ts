import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localStore } from '@millrace/object-store';
import { afterAll, describe, expect, test } from 'vitest';
import { applyUpdates } from './apply-updates.ts';
import type { DataFile } from './data-file.ts';
import { dataFilesOf, expiryUpdates, metadataFilesOf, selectExpired } from './expiry.ts';
import { ADDED, DELETED, EXISTING, readManifest, readManifestList } from './manifest.ts';
import { newTableMetadata } from './new-table.ts';
import { type DataChange, prepareSnapshot } from './snapshot-commit.ts';
import { readMetadata, tableFiles, withPreviousMetadata, writeMetadata } from './table-files.ts';
import { currentSnapshot, type TableMetadata } from './table-metadata.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-iceberg-'));
afterAll(() => rmSync(root, { recursive: true }));
const store = localStore(root);
const files = tableFiles([store]);

const long = (value: bigint): Uint8Array => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
};

const dataFile = (location: string, n: number): DataFile => ({
  path: `${location}/data/${n}.parquet`,
  sizeBytes: 1000n + BigInt(n),
  recordCount: 10n,
  splitOffsets: [4n],
  columns: [
    { fieldId: 1, sizeBytes: 80n, valueCount: 10n, nullCount: 1n, lowerBound: long(BigInt(n)), upperBound: long(9n) },
    { fieldId: 2, sizeBytes: 40n, valueCount: 10n, nullCount: 0n, nanCount: 2n },
  ],
});

let tables = 0;
function newTable(): TableMetadata {
  const location = store.uriOf(`demo/t${tables++}`);
  return newTableMetadata(
    {
      schema: {
        type: 'struct',
        'schema-id': 0,
        fields: [
          { id: 1, name: 'a', required: false, type: 'long' },
          { id: 2, name: 'b', required: false, type: 'double' },
        ],
      },
      location,
      properties: { 'write.metadata.path': `${location}/_iceberg` },
      keepIds: true,
    },
    1_000,
  );
}

async function commit(base: TableMetadata, change: Partial<DataChange>, nowMs: number): Promise<TableMetadata> {
  const full: DataChange = { operation: 'append', added: [], removed: new Set(), summary: {}, ...change };
  const { updates } = await prepareSnapshot(files, base, full, nowMs);
  return applyUpdates(base, updates, nowMs);
}

const entriesOf = async (metadata: TableMetadata) => {
  const manifests = await readManifestList(files, currentSnapshot(metadata)!);
  return (await Promise.all(manifests.map((manifest) => readManifest(files, manifest)))).flat();
};

describe('snapshots', () => {
  test('append: one new manifest, totals, inherited sequence numbers, statistics by field id', async () => {
    const empty = newTable();
    const first = await commit(empty, { added: [[dataFile(empty.location, 1), dataFile(empty.location, 2)]] }, 2_000);
    const second = await commit(first, { added: [[dataFile(empty.location, 3)]], summary: { x: 'y' } }, 3_000);
    expect(currentSnapshot(second)!.summary).toMatchObject({
      operation: 'append',
      'added-data-files': '1',
      'added-records': '10',
      'total-records': '30',
      'total-data-files': '3',
      'total-files-size': '3006',
      x: 'y',
    });
    const manifests = await readManifestList(files, currentSnapshot(second)!);
    expect(manifests.map((m) => [m.sequence_number, m.added_files_count, m.added_rows_count])).toEqual([
      [2, 1, 10],
      [1, 2, 20],
    ]);
    const [newest, , oldest] = await entriesOf(second);
    expect(newest).toMatchObject({ status: ADDED, sequence_number: 2, file_sequence_number: 2 });
    expect(oldest).toMatchObject({ status: ADDED, sequence_number: 1 });
    expect(newest!.data_file.lower_bounds).toMatchObject([{ key: 1, value: Buffer.from(long(3n)) }]);
    expect(newest!.data_file.nan_value_counts).toMatchObject([{ key: 2, value: 2 }]);
    expect(second['snapshot-log'].map((entry) => entry['timestamp-ms'])).toEqual([2_000, 3_000]);
  });

  test('replace: removed files are deleted entries, the others keep their sequence numbers', async () => {
    const empty = newTable();
    const { location } = empty;
    const first = await commit(empty, { added: [[1, 2, 3].map((n) => dataFile(location, n))] }, 2_000);
    const removed = new Set([dataFile(location, 1).path, dataFile(location, 3).path]);
    const change: Partial<DataChange> = { operation: 'replace', added: [[dataFile(location, 9)]], removed };
    const second = await commit(first, change, 3_000);
    expect(
      (await entriesOf(second)).map((e) => [e.data_file.file_path.slice(-9), e.status, e.sequence_number]),
    ).toEqual(
      [
        ['9.parquet', ADDED, 2],
        ['1.parquet', DELETED, 1],
        ['2.parquet', EXISTING, 1],
        ['3.parquet', DELETED, 1],
      ].map(([name, ...rest]) => [`/${name}`.slice(-9), ...rest]),
    );
    expect(currentSnapshot(second)!.summary).toMatchObject({ 'deleted-data-files': '2', 'total-data-files': '2' });
    const third = await commit(second, { operation: 'delete', removed: new Set([dataFile(location, 9).path]) }, 4_000);
    const fourth = await commit(third, {}, 5_000);
    expect((await readManifestList(files, currentSnapshot(third)!)).length).toBe(2);
    expect((await readManifestList(files, currentSnapshot(fourth)!)).length).toBe(1);
    await expect(commit(second, { ...change, added: [] }, 4_000)).rejects.toMatchObject({
      kind: 'conflict',
      code: 'file-not-live',
    });
  });

  test('"others": exactly the given files, those that are live untouched', async () => {
    const empty = newTable();
    const { location } = empty;
    const first = await commit(empty, { added: [[1, 2, 3].map((n) => dataFile(location, n))] }, 2_000);
    const state = [[dataFile(location, 2)], [dataFile(location, 4)]];
    const second = await commit(first, { operation: 'overwrite', added: state, removed: 'others' }, 3_000);
    const live = (await entriesOf(second)).filter((entry) => entry.status !== DELETED);
    expect(live.map((e) => [e.data_file.file_path, e.status, e.sequence_number])).toEqual([
      [dataFile(location, 4).path, ADDED, 2],
      [dataFile(location, 2).path, EXISTING, 1],
    ]);
  });

  test('a refused commit leaves no file', async () => {
    const empty = newTable();
    const change: Partial<DataChange> = {
      added: [[dataFile(empty.location, 1)]],
      removed: new Set([`${empty.location}/data/none.parquet`]),
    };
    await expect(commit(empty, change, 2_000)).rejects.toMatchObject({ kind: 'conflict' });
    expect(await Array.fromAsync(files.list(`${empty.location}/`))).toEqual([]);
  });

  test('many small manifests are merged, no file lost or moved in time', async () => {
    let table = newTable();
    for (let n = 0; n < 105; n++) table = await commit(table, { added: [[dataFile(table.location, n)]] }, 2_000 + n);
    const manifests = await readManifestList(files, currentSnapshot(table)!);
    expect(manifests.length).toBeLessThan(10);
    const entries = await entriesOf(table);
    expect(entries.map((e) => Number(e.sequence_number)).sort((a, b) => a - b)).toEqual(
      [...Array(105).keys()].map((n) => n + 1),
    );
    expect(new Set(entries.map((e) => e.data_file.file_path)).size).toBe(105);
    expect(manifests.at(-1)!.min_sequence_number).toBe(1);
  });

  test('expiry by count and age; tags hold; what is no longer referred to', async () => {
    let table = newTable();
    const uris: string[] = [];
    for (let n = 1; n <= 5; n++) {
      const next = await commit(table, { added: [[dataFile(table.location, n)]] }, n * 1_000);
      const logged = uris.length === 0 ? next : withPreviousMetadata(next, table, uris.at(-1)!);
      uris.push(await writeMetadata(files, logged, uris.at(-1)));
      table = await readMetadata(files, uris.at(-1)!);
    }
    expect(uris.map((uri) => uri.match(/\/_iceberg\/(\d+)-[0-9a-f-]+\.metadata\.json$/)![1])).toEqual(
      [0, 1, 2, 3, 4].map((n) => `0000${n}`),
    );
    expect(table['metadata-log'].map((entry) => entry['metadata-file'])).toEqual(uris.slice(0, 4));
    const second = table.snapshots[1]!['snapshot-id'];
    table = applyUpdates(
      table,
      [{ action: 'set-snapshot-ref', 'ref-name': 'v2', type: 'tag', 'snapshot-id': second }],
      6_000,
    );
    const expired = selectExpired(table, { olderThanMs: 5_000, keepCount: 2, nowMs: 7_000 });
    expect(expired).toEqual({
      refs: [],
      snapshotIds: [table.snapshots[0], table.snapshots[2]].map((s) => s!['snapshot-id']),
    });
    const before = await metadataFilesOf(files, table, uris.at(-1)!);
    const after = applyUpdates(table, expiryUpdates(expired), 7_000);
    expect(after['snapshot-log'].map((entry) => entry['snapshot-id'])).toEqual(
      after.snapshots.slice(1).map((snapshot) => snapshot['snapshot-id']),
    );
    const gone = before.difference(await metadataFilesOf(files, after, uris.at(-1)!));
    expect([...gone].sort()).toEqual([0, 2].map((n) => table.snapshots[n]!['manifest-list']!).sort());
    expect((await Array.fromAsync(dataFilesOf(files, after))).length).toBe(5);
  });
});
