import { MillraceError } from '@millrace/base';
import type { ColumnBatch } from '@millrace/columns';
import type { ObjectStore, ObjectWriter } from '@millrace/object-store';
import type { TableSchema } from '@millrace/schema';
import { expect, test } from 'vitest';
import { createDataFiles } from './data-files.ts';

const schema: TableSchema = {
  schemaId: 1,
  fields: [{ id: 1, name: 'n', required: false, source: 'value', type: { kind: 'int' } }],
  lastColumnId: 1,
} as unknown as TableSchema;

/** Rows of numbers that neither compress nor repeat. */
function rows(count: number): ColumnBatch {
  const values = Int32Array.from({ length: count }, (_, i) => Math.imul(i + 1, 0x9e3779b1) ^ (i << 7));
  return {
    schema,
    length: count,
    columns: [{ kind: 'int32', length: count, nullCount: 0, validity: undefined, values }],
  };
}

/** A store whose objects become visible when the test says so. */
function fakeStore() {
  const events: string[] = [];
  const completions: { key: string; end: (error?: Error) => void }[] = [];
  const writer = async (key: string): Promise<ObjectWriter> => {
    events.push(`begin ${key}`);
    return {
      bytesWritten: 0,
      write: async () => {},
      complete: () =>
        new Promise((resolve, reject) => {
          const end = (error?: Error) => (error ? reject(error) : resolve({ key, sizeBytes: 1, modifiedMs: 0 }));
          completions.push({ key, end });
        }),
      abort: async () => void events.push(`abort ${key}`),
    };
  };
  const store = { writer, delete: async (key: string) => void events.push(`delete ${key}`) } as unknown as ObjectStore;
  return { store, events, completions };
}

const filesOver = (store: ObjectStore, offsets?: { start: number; end: number }) =>
  createDataFiles({
    store,
    keyOf: (n) => String(n),
    targetFileBytes: 40_000,
    rowGroupBytes: 65_536,
    rowGroupRows: 100_000,
    ...(offsets === undefined ? {} : { offsets }),
    signal: new AbortController().signal,
  });

test('the next file is begun while one becomes visible, and no more', async () => {
  const { store, events, completions } = fakeStore();
  const files = filesOver(store);
  await files.append(rows(10_000), 10_000);
  const second = files.append(rows(10_000), 20_000);
  await expect.poll(() => events).toEqual(['begin 0', 'begin 1']);
  // The second is encoded, and waits for the first.
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(completions.map(({ key }) => key)).toEqual(['0']);
  completions[0]!.end();
  await second;
  const finished = files.finish();
  await expect.poll(() => completions.length).toBe(2);
  completions[1]!.end();
  expect((await finished).map(({ key, endOffset }) => [key, endOffset])).toEqual([
    ['0', 10_000],
    ['1', 20_000],
  ]);
});

test('a file that does not become visible fails what comes after it; nothing is left', async () => {
  const { store, events, completions } = fakeStore();
  const files = filesOver(store);
  await files.append(rows(10_000), 10_000);
  completions[0]!.end(new MillraceError('unavailable', 'the store is away'));
  await expect(files.finish()).rejects.toThrow('the store is away');
  await files.abort();
  expect(events).toEqual(['begin 0', 'abort 0', 'delete 0']);
});

test('a small rest goes into the file before it, a large one into its own', async () => {
  for (const [end, count] of [
    [21_000, 1],
    [60_000, 2],
  ] as const) {
    const { store, completions } = fakeStore();
    const files = filesOver(store, { start: 0, end });
    await files.append(rows(20_000), 20_000);
    completions[0]?.end();
    await files.append(rows(1_000), 21_000);
    const finished = files.finish();
    await expect.poll(() => completions.length).toBe(count);
    completions.at(-1)!.end();
    expect(await finished).toHaveLength(count);
  }
});
