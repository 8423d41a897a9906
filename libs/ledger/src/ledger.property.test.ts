import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isKind } from '@millrace/base';
import { testDatabaseUrl } from '@millrace/database/testing';
import { ErrorPolicy, TableFormat } from '@millrace/proto/common';
import { VersionKind } from '@millrace/proto/metadata_discovery';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { proposeRewrite } from './changes.ts';
import { commitTable } from './commit.ts';
import { completeSplit } from './completion.ts';
import { listFiles } from './files.ts';
import { expireLeases, failSplit, type GivenLease, heartbeatSplit, leaseSplit } from './leases.ts';
import { type LedgerDb, openLedger } from './ledger-database.ts';
import { addPartition, listPartitions, planSplits } from './plan.ts';
import { createTopic, getTopic } from './topics.ts';
import { listVersions } from './versions.ts';

const LEASES = { leaseMs: 100, maxAttempts: 1_000, backoffMs: 0 };
const TABLE = { namespace: 'demo', name: 't' };
const PARTITIONS = 3;

async function enable(db: LedgerDb): Promise<string> {
  await createTopic(db, {
    topic: 't',
    table: TABLE,
    warehouseUri: 'file:///w',
    settings: {
      formats: [TableFormat.DELTA],
      errorPolicy: ErrorPolicy.SUSPEND,
      commitIntervalMs: 1_000,
      commitBytes: 1,
      kafkaColumns: [],
    },
    keyFormat: { encoding: 'none', framing: 'none', fixedSchemaId: 0 },
    valueFormat: { encoding: 'bytes', framing: 'none', fixedSchemaId: 0 },
    schemaId: 0,
    tableSchemaJson: '{}',
    mergedSchemas: [],
    nowMs: 0,
    traceparent: '',
  });
  const { tableUuid } = await getTopic(db, 't');
  // Partition p begins at offset 10 p: the first offset of a table is whatever the log still has.
  for (let p = 0; p < PARTITIONS; p++) await addPartition(db, tableUuid, p, 10 * p);
  return tableUuid;
}

const file = (path: string, partition: number, start: bigint, end: bigint) => ({
  path,
  sizeBytes: 10n,
  recordCount: end - start,
  offsets: [{ partition, startOffset: start, endOffset: end }],
});

/** What a converter hands over for a split: two files, one, or none (its records were all control records). */
function filesOf({ split, epoch }: GivenLease) {
  const { splitId, partition, startOffset, endOffset } = split;
  const name = (n: number) => `data/${splitId}-${epoch}-${n}.parquet`;
  if (endOffset % 5n === 0n) return [];
  const middle = startOffset + (endOffset - startOffset) / 2n;
  return middle === startOffset
    ? [file(name(0), partition, startOffset, endOffset)]
    : [file(name(0), partition, startOffset, middle), file(name(1), partition, middle, endOffset)];
}

/** I1, I2 and I6, as the ledger's own versions show them. */
async function checkInvariants(db: LedgerDb, tableUuid: string, completed: Map<string, bigint>): Promise<void> {
  const { versions } = await listVersions(db, { table: TABLE, afterVersion: 0, pageSize: 1_000, withoutFiles: false });
  const next = Array.from({ length: PARTITIONS }, (_, p) => BigInt(10 * p));
  const rowsTo = [...next];
  const live = new Map<string, bigint>();
  const ever = new Set<string>();
  let rows = 0n;
  for (const [i, version] of versions.entries()) {
    expect(version.version).toBe(BigInt(i + 1));
    for (const range of version.offsets) {
      expect(range.startOffset).toBe(next[range.partition]);
      next[range.partition] = range.endOffset;
    }
    for (const added of version.added) {
      expect(ever.has(added.path)).toBe(false);
      ever.add(added.path);
      live.set(added.path, added.recordCount);
      if (version.kind !== VersionKind.APPEND) continue;
      rows += added.recordCount;
      const [, splitId, epoch] = /^data\/(.{36})-(\d+)-/.exec(added.path)!;
      expect(BigInt(epoch!)).toBe(completed.get(splitId!));
      const [range] = added.offsets;
      expect(range!.startOffset).toBeGreaterThanOrEqual(rowsTo[range!.partition]!);
      rowsTo[range!.partition] = range!.endOffset;
      expect(range!.endOffset).toBeLessThanOrEqual(next[range!.partition]!);
    }
    for (const removed of version.removed) expect(live.delete(removed.path)).toBe(true);
    // CREATE came before the partitions were known.
    if (version.kind === VersionKind.CREATE) continue;
    expect(version.positions.map((range) => range.endOffset)).toEqual(next);
    expect(version.positions.map((range) => range.startOffset)).toEqual([0n, 10n, 20n]);
  }
  expect([...live.values()].reduce((a, b) => a + b, 0n)).toBe(rows);
  const partitions = await listPartitions(db, tableUuid);
  expect(partitions.map((p) => BigInt(p.committedOffset))).toEqual(next);
  const page = await listFiles(db, { table: TABLE, version: 0, pageSize: 5_000, pageToken: '', withoutColumns: true });
  expect(page.files.map((f) => f.path)).toEqual([...live.keys()].sort());
}

const step = fc.record({
  what: fc.constantFrom('plan', 'lease', 'lease', 'complete', 'complete', 'fail', 'beat', 'wait', 'commit', 'rewrite'),
  pick: fc.nat(1_000),
});

test('random interleavings of plan, lease, complete, expire, commit and rewrite keep I1, I2 and I6', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      const { db, close } = await openLedger(testDatabaseUrl());
      const tableUuid = await enable(db);
      // The model: leases ever given, the newest open epoch of a split, the epoch that completed it.
      const given: GivenLease[] = [];
      const open = new Map<string, { epoch: bigint; expiresMs: bigint }>();
      const newest = new Map<string, bigint>();
      const completed = new Map<string, bigint>();
      let nowMs = 0;
      let proposals = 0;
      for (const { what, pick } of steps) {
        const lease = given[pick % Math.max(given.length, 1)];
        const holds = lease !== undefined && open.get(lease.split.splitId)?.epoch === lease.epoch;
        if (what === 'plan') {
          const partition = pick % PARTITIONS;
          const { plannedOffset } = (await listPartitions(db, tableUuid))[partition]!;
          const split = { ranges: [], transactionIndexKeys: [] };
          const [a, b] = [1 + (pick % 7), 1 + (pick % 3)];
          await planSplits(db, { tableUuid, partition, nowMs, traceparent: '' }, [
            { ...split, startOffset: plannedOffset, endOffset: plannedOffset + a },
            { ...split, startOffset: plannedOffset + a, endOffset: plannedOffset + a + b },
          ]);
        } else if (what === 'lease') {
          const got = await leaseSplit(db, 'me', nowMs, LEASES);
          if (got === undefined) continue;
          const { splitId } = got.split;
          expect(open.has(splitId) || completed.has(splitId)).toBe(false);
          expect(got.epoch).toBeGreaterThan(newest.get(splitId) ?? 0n);
          newest.set(splitId, got.epoch);
          open.set(splitId, { epoch: got.epoch, expiresMs: got.expiresMs });
          given.push(got);
        } else if (what === 'complete' && lease) {
          const { splitId } = lease.split;
          const done = { splitId, epoch: Number(lease.epoch), files: filesOf(lease) };
          const call = completeSplit(db, { ...done, deadLetters: [], skippedCount: 0, nowMs });
          if (holds || completed.get(splitId) === lease.epoch) await call;
          else await expect(call).rejects.toMatchObject({ kind: 'stale-lease' });
          if (holds) {
            open.delete(splitId);
            completed.set(splitId, lease.epoch);
          }
        } else if (what === 'fail' && lease) {
          const failed = { splitId: lease.split.splitId, epoch: Number(lease.epoch), nowMs };
          const call = failSplit(db, { ...failed, released: true, error: undefined }, LEASES);
          if (holds) await call;
          else await expect(call).rejects.toMatchObject({ kind: 'stale-lease' });
          if (holds) open.delete(lease.split.splitId);
        } else if (what === 'beat' && lease) {
          const call = heartbeatSplit(db, lease.split.splitId, Number(lease.epoch), nowMs, LEASES.leaseMs);
          if (holds) open.get(lease.split.splitId)!.expiresMs = BigInt(await call);
          else await expect(call).rejects.toMatchObject({ kind: 'stale-lease' });
        } else if (what === 'wait') {
          nowMs += pick % 150;
          const overdue = [...open].filter(([, { expiresMs }]) => expiresMs <= BigInt(nowMs));
          expect(await expireLeases(db, nowMs, LEASES)).toHaveLength(overdue.length);
          for (const [splitId] of overdue) open.delete(splitId);
        } else if (what === 'commit') {
          await commitTable(db, tableUuid, { nowMs, traceparent: '' });
        } else if (what === 'rewrite') {
          const request = { table: TABLE, version: 0, pageSize: 1 + (pick % 4), pageToken: '', withoutColumns: true };
          const { files } = await listFiles(db, request);
          if (files.length === 0) continue;
          const rows = files.reduce((total, f) => total + f.recordCount, 0n);
          const added = [{ path: `data/rewrite-${proposals}-0.parquet`, sizeBytes: 1n, recordCount: rows }];
          const removedPaths = files.map((f) => f.path);
          const rewrite = { table: TABLE, removedPaths, added, proposalId: `p${proposals++}`, nowMs, traceparent: '' };
          const { version } = await proposeRewrite(db, rewrite);
          expect((await proposeRewrite(db, rewrite)).version).toBe(version);
        }
        await checkInvariants(db, tableUuid, completed);
      }
      await close();
    }),
    // A failure prints its seed and path; put them here to see it again.
    { numRuns: 25 },
  );
}, 120_000);

test('two processes on one database, with planners, converters and committers each, keep I1, I2 and I6', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-ledger-'));
  const url = testDatabaseUrl(join(folder, 'ledger.db'));
  const databases = [await openLedger(url), await openLedger(url)];
  const tableUuid = await enable(databases[0]!.db);
  const end = 24;
  const completed = new Map<string, bigint>();
  const tolerate = (error: unknown) => {
    if (!isKind(error, 'conflict', 'stale-lease')) throw error;
  };
  const finished = async (db: LedgerDb) =>
    (await listPartitions(db, tableUuid)).every((p) => p.committedOffset >= 10 * p.partition + end);
  const planner = async (db: LedgerDb) => {
    for (const { partition, plannedOffset } of await listPartitions(db, tableUuid)) {
      if (plannedOffset >= 10 * partition + end) continue;
      const split = { startOffset: plannedOffset, endOffset: plannedOffset + 3, ranges: [], transactionIndexKeys: [] };
      await planSplits(db, { tableUuid, partition, nowMs: 0, traceparent: '' }, [split]).catch(tolerate);
    }
  };
  const converter = async (db: LedgerDb, owner: string) => {
    const lease = await leaseSplit(db, owner, 0, LEASES);
    if (lease === undefined) return;
    const { splitId } = lease.split;
    const done = { splitId, epoch: Number(lease.epoch), files: filesOf(lease), deadLetters: [], skippedCount: 0 };
    await completeSplit(db, { ...done, nowMs: 0 });
    completed.set(splitId, lease.epoch);
  };
  await Promise.all(
    databases.flatMap(({ db }, process) =>
      [planner, converter, converter, (d: LedgerDb) => commitTable(d, tableUuid, { nowMs: 0, traceparent: '' })].map(
        async (work) => {
          while (!(await finished(db))) await work(db, `process ${process}`);
        },
      ),
    ),
  );
  await checkInvariants(databases[1]!.db, tableUuid, completed);
  expect(completed.size).toBe((PARTITIONS * end) / 3);
  for (const { close } of databases) await close();
  rmSync(folder, { recursive: true });
});
