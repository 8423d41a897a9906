import { openLedger } from '@millrace/ledger';
import { expect, test } from 'vitest';
import { ledgerWatch } from './ledger-watch.ts';

test('one question for all who follow; each hears of every table, of moves that it missed only the last', async () => {
  const { db, close } = await openLedger('sqlite::memory:');
  const wakes = new Set<() => void>();
  const notify = () => {
    for (const wake of [...wakes]) wake();
  };
  const signal = {
    notify,
    wait: (_ms: number, ended: AbortSignal) =>
      new Promise<void>((resolve) => {
        const wake = () => {
          wakes.delete(wake);
          resolve();
        };
        wakes.add(wake);
        ended.addEventListener('abort', wake, { once: true });
      }),
  };
  let nowMs = 0;
  const clock = {
    now: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms;
    },
  };
  const table = (name: string) => ({
    ...{ table_uuid: name, namespace: 'n', name, live_name: name, topic: name, location: name, formats_json: '[]' },
    ...{ schema_id: 0, version: 1, oldest_version: 1, version_ms: 0, created_ms: 0 },
  });
  await db
    .insertInto('tables')
    .values([table('a'), table('b')])
    .execute();
  const move = async (name: string, version: number) => {
    await db.updateTable('tables').set({ version }).where('name', '=', name).execute();
  };
  const watch = ledgerWatch(db, signal, clock);
  const ended = new AbortController();
  const [quick, slow] = [watch.follow(ended.signal), watch.follow(ended.signal)];
  const next = async (stream: typeof quick) => {
    const { value } = await stream.next();
    return `${value!.table.name}${value!.version}`;
  };
  expect([await next(quick), await next(quick)].sort()).toEqual(['a1', 'b1']);
  expect(await next(slow)).toBe('a1');
  for (const version of [2, 3]) {
    await move('b', version);
    notify();
    expect(await next(quick)).toBe(`b${version}`);
  }
  expect(await next(slow)).toBe('b3');
  // Who comes later begins with everything as it is.
  const late = watch.follow(ended.signal);
  expect([await next(late), await next(late)].sort()).toEqual(['a1', 'b3']);
  const waiting = slow.next();
  ended.abort();
  expect((await waiting).done).toBe(true);
  expect((await quick.next()).done).toBe(true);
  notify();
  await close();
});
