import { MillraceError } from '@millrace/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Action, encodeActions } from './actions.ts';
import { writeCheckpoint } from './checkpoint-writer.ts';
import { commitKey } from './log-segment.ts';
import { type MemoryStore, memoryStore } from './memory-store.fixture.ts';
import { loadSnapshot, readCommit } from './snapshot.ts';
import { addOf, METADATA, removeOf, transaction } from './table.fixture.ts';
import { commit, openTable } from './table.ts';

const APP = 'millrace:t';
const putForeign = async (store: MemoryStore, actions: Action[], commitInfo = {}) => {
  const version = ((await loadSnapshot(store))?.version ?? -1) + 1;
  const info = { operation: 'DELETE', engineInfo: 'Spark', ...commitInfo };
  await store.put(commitKey(version), Buffer.concat([...encodeActions([{ commitInfo: info }, ...actions])]));
};

describe('commit', () => {
  test('carries commitInfo first and the txn, and done again does nothing', async () => {
    const store = memoryStore();
    const table = await openTable(store, APP);
    expect(await commit(table, transaction(1n, []))).toBe(true);
    expect(await commit(table, transaction(2n, [{ add: addOf('data/a') }]))).toBe(true);
    expect(await commit(table, transaction(2n, [{ add: addOf('data/a') }]))).toBe(false);
    const written = await readCommit(store, 1);
    expect(written[0]!.commitInfo).toMatchObject({ timestamp: 1_000, operation: 'WRITE' });
    expect(written.at(-1)!.txn).toEqual({ appId: APP, version: 2n, lastUpdated: 1_000 });
    expect(table.snapshot!.version).toBe(1);
  });

  test("is made anew on top of another writer's comments and properties", async () => {
    const store = memoryStore();
    const table = await openTable(store, APP);
    await commit(table, transaction(1n, []));
    await putForeign(store, [{ metaData: { ...METADATA, description: 'theirs' } }]);
    await putForeign(store, [], { operation: 'VACUUM END' });
    const seen: (string | undefined)[] = [];
    await commit(
      table,
      transaction(2n, [], {
        actions: (snapshot) => {
          seen.push(snapshot!.metadata.description);
          return [{ add: addOf('data/a') }];
        },
      }),
    );
    expect(seen).toEqual([undefined, 'theirs']);
    const snapshot = (await loadSnapshot(store))!;
    expect([snapshot.version, snapshot.metadata.description, snapshot.files.size]).toEqual([3, 'theirs', 1]);
  });

  test.each<[string, Action[]]>([
    ['deletes rows', [{ remove: removeOf('data/a') }, { add: addOf('part-0') }]],
    ['adds rows', [{ add: addOf('part-0') }]],
    ['rearranges files', [{ remove: { ...removeOf('data/a'), dataChange: false } }, { add: addOf('part-0', false) }]],
  ])('is refused, and says who did what, when another writer %s', async (_, actions) => {
    const store = memoryStore();
    const table = await openTable(store, APP);
    await commit(table, transaction(1n, [{ add: addOf('data/a') }]));
    await putForeign(store, actions);
    const next = transaction(2n, [{ add: addOf('data/b') }]);
    const refused = { kind: 'conflict', retryable: false, code: 'delta-foreign-change' };
    await expect(commit(table, next)).rejects.toMatchObject(refused);
    await expect(commit(table, next)).rejects.toThrow('since version 1 (DELETE by Spark)');
    // Also for who starts later, and when that writer made a checkpoint that hides its commit.
    await writeCheckpoint(store, (await loadSnapshot(store))!, 2);
    await expect(commit(await openTable(store, APP), next)).rejects.toMatchObject(refused);
    // A commit of the whole state ends it.
    await commit(await openTable(store, APP), transaction(3n, [], { overDrift: true }));
    expect(await commit(await openTable(store, APP), transaction(4n, [{ add: addOf('data/c') }]))).toBe(true);
  });

  test('goes on once the other writer has undone its change; new statistics are no change', async () => {
    const store = memoryStore();
    const table = await openTable(store, APP);
    await commit(table, transaction(1n, [{ add: addOf('data/a') }]));
    await putForeign(store, [{ add: { ...addOf('data/a', false), stats: '{"numRecords":1,"nullCount":{}}' } }]);
    await putForeign(store, [{ remove: removeOf('data/a') }, { add: addOf('part-0') }]);
    await putForeign(store, [{ remove: removeOf('part-0') }, { add: addOf('data/a') }], { operation: 'RESTORE' });
    expect(await commit(table, transaction(2n, [{ add: addOf('data/b') }]))).toBe(true);
    expect((await openTable(store, APP)).drift.since).toBeUndefined();
  });

  test('refuses what this writer does not honour', async () => {
    const store = memoryStore();
    const table = await openTable(store, APP);
    await commit(table, transaction(1n, [{ add: addOf('data/a') }]));
    await expect(commit(table, transaction(2n, [{ add: addOf('data/b') }, { add: addOf('data/b') }]))).rejects.toThrow(
      'data/b occurs twice',
    );
    await putForeign(store, [{ metaData: { ...METADATA, configuration: { 'delta.appendOnly': 'true' } } }]);
    await expect(commit(table, transaction(2n, [{ remove: removeOf('data/a') }]))).rejects.toThrow('delta.appendOnly');
    await putForeign(store, [{ protocol: { minReaderVersion: 1, minWriterVersion: 4 } }]);
    await expect(commit(table, transaction(2n, [{ add: addOf('data/b') }]))).rejects.toThrow('writer version 4');
  });

  test('a put whose answer was lost is found done', async () => {
    const store = memoryStore();
    const table = await openTable(store, APP);
    await commit(table, transaction(1n, []));
    const { put } = store;
    store.before = async (call, key) => {
      if (call !== 'put') return;
      store.before = async () => {};
      await put(
        key,
        Buffer.concat([...encodeActions([{ txn: { appId: APP, version: 2n } }, { add: addOf('data/a') }])]),
      );
      throw new MillraceError('unavailable', 'the answer was lost');
    };
    const next = transaction(2n, [{ add: addOf('data/a') }]);
    await expect(commit(table, next)).rejects.toThrow('the answer was lost');
    const again = await openTable(store, APP);
    expect(await commit(again, next)).toBe(false);
    expect(again.snapshot!.version).toBe(1);
  });
});

test('property: two owners of one table and a commenting stranger race; each version lands once, in order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(fc.integer({ min: 0, max: 3 })), async (pauses) => {
      const store = memoryStore();
      store.before = async () => {
        for (let n = pauses.next().value!; n > 0; n--) await null;
      };
      const owner = async () => {
        for (let version = 1n; version <= 6n; version++) {
          const table = await openTable(store, APP);
          if ((table.snapshot?.transactions.get(APP)?.version ?? 0n) !== version - 1n) continue;
          await commit(table, transaction(version, [{ add: addOf(`data/${version}`) }]));
        }
      };
      const stranger = async () => {
        for (let i = 0; i < 3; ) {
          const now = await loadSnapshot(store);
          if (now === undefined) continue;
          const body = encodeActions([{ metaData: { ...now.metadata, description: `comment ${i}` } }]);
          const key = commitKey(now.version + 1);
          await store.put(key, Buffer.concat([...body]), { ifAbsent: true }).then(
            () => i++,
            () => {},
          );
        }
      };
      await Promise.all([owner(), owner(), stranger()]);
      const landed: bigint[] = [];
      const end = await loadSnapshot(store, {
        onCommit: (_, actions) => landed.push(...actions.flatMap(({ txn }) => (txn ? [txn.version] : []))),
      });
      expect(landed).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
      expect([end!.files.size, end!.version, end!.metadata.description]).toEqual([6, 8, 'comment 2']);
    }),
    { seed: 20261122, numRuns: 100 },
  );
});

test('a listing that lacks what is newest costs nothing but a look: no version is lost, hidden or written twice', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(20), { minLength: 20, maxLength: 20 }), async (lacks) => {
      const store = memoryStore();
      for (const [version, lack] of lacks.entries()) {
        const written = [...store.objects.keys()];
        const stale = {
          ...store,
          async *list(...args: Parameters<MemoryStore['list']>) {
            for await (const info of store.list(...args))
              if (written.indexOf(info.key) < written.length - lack) yield info;
          },
        };
        const table = await openTable(stale, APP);
        expect(table.snapshot?.version).toBe(version === 0 ? undefined : version - 1);
        const add = transaction(BigInt(version + 1), version === 0 ? [] : [{ add: addOf(`data/${version}`) }]);
        expect(await commit(table, add)).toBe(true);
        expect(await commit(await openTable(stale, APP), add)).toBe(false);
        if (version % 7 === 6) await writeCheckpoint(stale, (await loadSnapshot(stale))!, 1_000);
      }
      const snapshot = (await loadSnapshot(store))!;
      expect([snapshot.version, snapshot.files.size]).toEqual([lacks.length - 1, lacks.length - 1]);
    }),
    { numRuns: 10, endOnFailure: true },
  );
});
