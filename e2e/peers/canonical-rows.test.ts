import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectSameRows } from './canonical-rows.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-rows-'));
});
afterAll(() => rm(folder, { recursive: true }));

const row = (partition: number, offset: number, total: string) =>
  `{"_kafka":{"offset":${offset},"partition":${partition}},"a":{"total":${total}}}`;

async function compare(expected: string[], found: string[], before?: Record<number, number>) {
  const [left, right] = [join(folder, 'expected'), join(folder, 'found')];
  await writeFile(left, expected.map((line) => line + '\n').join(''));
  await writeFile(right, found.map((line) => line + '\n').join(''));
  return expectSameRows('demo.t read by X', left, right, before === undefined ? {} : { before });
}

// The tests stand on this comparison: it must see every kind of difference.
test('equal rows are counted', async () => {
  expect(await compare([row(0, 1, '5'), row(1, 0, '6')], [row(0, 1, '5'), row(1, 0, '6')])).toMatchObject({ rows: 2 });
});

test.each([
  ['a value', [row(0, 1, '5')], [row(0, 1, '6')], 'partition 0, offset 1: column a.total: expected "5#", found "6#"'],
  ['a digit that a double has not', [row(0, 1, '9007199254740993')], [row(0, 1, '9007199254740992')], 'column a.total'],
  ['null and nothing', [row(0, 1, 'null')], [row(0, 1, '{}')], 'column a.total: expected null, found {}'],
  ['a missing row', [row(0, 1, '5'), row(0, 2, '5')], [row(0, 2, '5')], 'partition 0, offset 1 is missing'],
  ['a missing last row', [row(0, 1, '5'), row(0, 2, '5')], [row(0, 1, '5')], 'partition 0, offset 2 is missing'],
  ['a row too many', [row(1, 1, '5')], [row(0, 7, '5'), row(1, 1, '5')], 'offset 7 should not be there'],
  [
    'a row twice',
    [row(0, 1, '5')],
    [row(0, 1, '5'), row(0, 1, '5')],
    'offset 1 should not be there, or is there twice',
  ],
])('%s is a difference', async (_what, expected, found, message) => {
  await expect(compare(expected, found)).rejects.toThrow(message);
});

test('what is expected can end before an offset in each partition', async () => {
  const all = [row(0, 1, '5'), row(0, 2, '5'), row(1, 0, '5')];
  expect(await compare(all, [row(0, 1, '5')], { 0: 2 })).toMatchObject({ rows: 1 });
  await expect(compare(all, [row(0, 1, '5')], { 0: 3 })).rejects.toThrow('offset 2 is missing');
});
