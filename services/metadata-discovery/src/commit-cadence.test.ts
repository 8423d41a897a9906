import { expect, test } from 'vitest';
import { commitDueMs } from './commit-cadence.ts';

const settings = { commitIntervalMs: 60_000, commitBytes: 1_000 };
const nothing = { waiting: 0, leased: 0, committable: 0, committableBytes: 0, oldestMs: 0 };
const now = 1_000_000;

test('nothing to commit, enough to commit, and a table with nothing else to do', () => {
  expect(commitDueMs({ ...nothing, waiting: 3 }, settings, 0, now)).toBeUndefined();
  const some = { ...nothing, committable: 1, committableBytes: 10, oldestMs: now };
  expect(commitDueMs({ ...some, committableBytes: 1_000, waiting: 3 }, settings, now, now)).toBe(0);
  expect(commitDueMs(some, settings, 0, now)).toBe(0);
  expect(commitDueMs(some, settings, now - 300, now)).toBe(700);
  expect(commitDueMs(some, { ...settings, commitIntervalMs: 500 }, now - 300, now)).toBe(200);
});

test('while splits of the table are under way, what was converted waits for them, an interval at the most', () => {
  const busy = { ...nothing, committable: 1, committableBytes: 10, leased: 1, oldestMs: now - 5_000 };
  // The last version is long ago: the first split of a new segment does not become one alone.
  expect(commitDueMs(busy, settings, 0, now)).toBe(55_000);
  expect(commitDueMs(busy, settings, now - 1_000, now)).toBe(59_000);
  expect(commitDueMs({ ...busy, oldestMs: now - 60_000 }, settings, now - 61_000, now)).toBe(0);
  // A clock that was set back.
  expect(commitDueMs({ ...busy, oldestMs: now + 900_000 }, settings, now + 900_000, now)).toBe(60_000);
});
