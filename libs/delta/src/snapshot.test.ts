import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Action, encodeActions } from './actions.ts';
import { writeCheckpoint } from './checkpoint-writer.ts';
import { cleanLog } from './cleanup.ts';
import { commitKey, LAST_CHECKPOINT_KEY } from './log-segment.ts';
import { memoryStore } from './memory-store.fixture.ts';
import { loadSnapshot, refresh, type Snapshot } from './snapshot.ts';
import { addOf, CREATE, METADATA, removeOf } from './table.fixture.ts';

const putCommit = (store: ReturnType<typeof memoryStore>, version: number, actions: Action[]) =>
  store.put(commitKey(version), Buffer.concat([...encodeActions(actions)]));

const withoutCheckpoint = ({ checkpointVersion, ...state }: Snapshot) => ({
  ...state,
  // A checkpoint's rows change no data.
  files: [...state.files.values()].map((add) => ({ ...add, dataChange: false })).sort(byPath),
  tombstones: [...state.tombstones.values()].map((remove) => ({ ...remove, dataChange: false })).sort(byPath),
});
const byPath = (a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1);

/** Random histories: each commit adds and removes some of twelve files, sets a property or a txn. */
const histories = fc.array(
  fc.record({
    touched: fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 11 }), fc.boolean()), {
      selector: ([i]) => i,
      maxLength: 4,
    }),
    property: fc.option(fc.string()),
    txn: fc.option(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })),
    checkpoint: fc.constantFrom(true, false, false, false),
  }),
  { maxLength: 12 },
);

describe('replay', () => {
  test('property: any mixture of commits and checkpoints is the fold of the actions', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        const store = memoryStore();
        await putCommit(store, 0, CREATE);
        const live = new Set<string>();
        const gone = new Set<string>();
        let configuration = {};
        let txn: bigint | undefined;
        for (const [i, step] of history.entries()) {
          const version = i + 1;
          const actions: Action[] = [];
          for (const [n, adds] of step.touched) {
            const path = `data/${n}%20.parquet`;
            actions.push(adds ? { add: addOf(path) } : { remove: removeOf(path) });
            (adds ? live : gone).add(path);
            (adds ? gone : live).delete(path);
          }
          if (step.property !== null) {
            configuration = { key: step.property };
            actions.push({ metaData: { ...METADATA, configuration } });
          }
          if (step.txn !== null) {
            txn = step.txn;
            actions.push({ txn: { appId: 'a', version: txn } });
          }
          await putCommit(store, version, actions);
          if (step.checkpoint) await writeCheckpoint(store, (await loadSnapshot(store))!, 2);
        }
        const snapshot = (await loadSnapshot(store))!;
        expect(snapshot.version).toBe(history.length);
        expect(new Set(snapshot.files.keys())).toEqual(live);
        expect(new Set(snapshot.tombstones.keys())).toEqual(gone);
        expect(snapshot.metadata.configuration).toEqual(configuration);
        expect(snapshot.transactions.get('a')?.version).toBe(txn);
        // The same without the pointer, and from the commits alone.
        store.objects.delete(LAST_CHECKPOINT_KEY);
        expect(await loadSnapshot(store)).toEqual(snapshot);
        for (const key of store.objects.keys()) if (key.includes('checkpoint')) store.objects.delete(key);
        expect(withoutCheckpoint((await loadSnapshot(store))!)).toEqual(withoutCheckpoint(snapshot));
      }),
      { seed: 20261122, numRuns: 15 },
    );
  });

  test('a version of the past, with and without its checkpoint', async () => {
    const store = memoryStore();
    await putCommit(store, 0, CREATE);
    for (let v = 1; v <= 5; v++) {
      await putCommit(store, v, [{ add: addOf(`data/${v}`) }]);
      if (v === 3) await writeCheckpoint(store, (await loadSnapshot(store))!, 2);
    }
    for (let v = 0; v <= 5; v++) {
      expect([...(await loadSnapshot(store, { version: v }))!.files.keys()].length).toBe(v);
    }
    await expect(loadSnapshot(store, { version: 6 })).rejects.toThrow('no version 6');
    store.objects.delete(commitKey(1));
    await expect(loadSnapshot(store, { version: 2 })).rejects.toThrow('lacks version 1');
    expect((await loadSnapshot(store))!.files.size).toBe(5);
  });

  test('moves on by the commits that have come since', async () => {
    const store = memoryStore();
    await putCommit(store, 0, CREATE);
    const snapshot = (await loadSnapshot(store))!;
    expect(await refresh(store, snapshot)).toBe(false);
    await putCommit(store, 1, [{ add: addOf('data/1') }]);
    await putCommit(store, 2, [{ remove: removeOf('data/1') }]);
    expect(await refresh(store, snapshot)).toBe(true);
    expect(snapshot).toEqual(await loadSnapshot(store));
  });

  test('no log is no table; a gap, a broken line and an unknown feature are named', async () => {
    const store = memoryStore();
    expect(await loadSnapshot(store)).toBeUndefined();
    await putCommit(store, 0, CREATE);
    await putCommit(store, 2, []);
    await expect(loadSnapshot(store)).rejects.toThrow('lacks version 1');
    await store.put(commitKey(1), Buffer.from('{"commitInfo":{}}\n{"add":{"path":1}}\n'));
    await expect(loadSnapshot(store)).rejects.toThrow('00000000000000000001.json, action 2: add.path is 1');
    const protocol = {
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: ['deletionVectors'],
      writerFeatures: [],
    };
    await putCommit(store, 1, [{ protocol }]);
    await expect(loadSnapshot(store)).rejects.toThrow('reader features deletionVectors');
  });

  test('64-bit integers of txn, and actions and fields that are unknown', async () => {
    const store = memoryStore();
    await putCommit(store, 0, CREATE);
    await store.put(
      commitKey(1),
      Buffer.from(
        '{"txn":{"appId":"a","version":9223372036854775807,"later":1}}\n{"cdc":{"path":"x"}}\r\n\n{"add":{"path":"d","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true,"stats":null,"unknown":{}}}',
      ),
    );
    const snapshot = (await loadSnapshot(store))!;
    expect(snapshot.transactions.get('a')!.version).toBe(2n ** 63n - 1n);
    expect(snapshot.files.get('d')!.stats).toBeUndefined();
    await writeCheckpoint(store, snapshot, 2);
    expect((await loadSnapshot(store))!.transactions.get('a')!.version).toBe(2n ** 63n - 1n);
  });

  test('a multi-part checkpoint counts only when all its parts are there', async () => {
    const store = memoryStore();
    await putCommit(store, 0, [...CREATE, { add: addOf('data/0') }]);
    await putCommit(store, 1, [{ add: addOf('data/1') }]);
    await writeCheckpoint(store, (await loadSnapshot(store))!, 2);
    const single = '_delta_log/00000000000000000001.checkpoint.parquet';
    const part = (n: number) => `_delta_log/00000000000000000001.checkpoint.000000000${n}.0000000002.parquet`;
    const { bytes } = store.objects.get(single)!;
    store.objects.delete(single);
    await store.put(part(1), bytes);
    expect((await loadSnapshot(store))!.checkpointVersion).toBeUndefined();
    await store.put(part(2), bytes);
    store.objects.delete(commitKey(0));
    const snapshot = (await loadSnapshot(store))!;
    expect([snapshot.checkpointVersion, snapshot.files.size]).toEqual([1, 2]);
  });
});

describe('checkpoint and clean-up', () => {
  test('tombstones are kept as long as the table says', async () => {
    const store = memoryStore();
    const configuration = { 'delta.deletedFileRetentionDuration': 'interval 1 hours' };
    await putCommit(store, 0, [CREATE[0]!, { metaData: { ...METADATA, configuration } }]);
    await putCommit(store, 1, [{ remove: removeOf('data/old', 0) }, { remove: removeOf('data/new', 1) }]);
    await writeCheckpoint(store, (await loadSnapshot(store))!, 3_600_000);
    expect([...(await loadSnapshot(store))!.tombstones.keys()]).toEqual(['data/new']);
  });

  test('deletes what a checkpoint stands for, and every version from there on can be read', async () => {
    const store = memoryStore();
    for (let v = 0; v <= 9; v++) {
      store.nowMs = v * 100;
      await putCommit(store, v, [...(v === 0 ? CREATE : []), { add: addOf(`data/${v}`) }]);
      if (v === 3 || v === 6) await writeCheckpoint(store, (await loadSnapshot(store))!, 2);
    }
    expect((await cleanLog(store, { olderThanMs: 250 })).deleted).toEqual([]);
    const before = store.objects.size;
    const plan = await cleanLog(store, { olderThanMs: 550, dryRun: true });
    expect([plan.oldestVersion, plan.deleted]).toEqual([3, [0, 1, 2].map(commitKey)]);
    expect(store.objects.size).toBe(before);
    const { deleted, oldestVersion } = await cleanLog(store, { olderThanMs: 900 });
    expect([deleted.length, oldestVersion]).toEqual([7, 6]);
    for (let v = 6; v <= 9; v++) expect((await loadSnapshot(store, { version: v }))!.files.size).toBe(v + 1);
    await expect(loadSnapshot(store, { version: 5 })).rejects.toThrow('no version 5');
  });

  test('the pointer never goes back', async () => {
    const store = memoryStore();
    await putCommit(store, 0, CREATE);
    const old = (await loadSnapshot(store))!;
    await putCommit(store, 1, []);
    await writeCheckpoint(store, (await loadSnapshot(store))!, 2);
    await writeCheckpoint(store, old, 2);
    expect(JSON.parse(Buffer.from(await store.get(LAST_CHECKPOINT_KEY)).toString()).version).toBe(1);
  });
});
