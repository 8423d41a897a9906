import type { Plan, Step } from './avro-step.ts';
import {
  BadRecord,
  type Cursor,
  readBlocks,
  readBranch,
  readJson,
  readLeaf,
  readLong,
  take,
  text,
} from './avro-value.ts';
import { type Column, reserve, setNull } from './column.ts';
import { storeDefault, storeValue } from './store.ts';

/**
 * Follows a plan plainly, value by value. The oracle of the generated decoders, what runs where code generation is
 * forbidden, and what finds out where in a broken record the trouble is: throws BadRecord with the field's path.
 * `n`: the row to write in the top-level columns, for which room is there.
 */
export function interpret(
  plan: Plan,
  columns: readonly Column[],
  bytes: Uint8Array,
  start: number,
  length: number,
  n: number,
): void {
  const cursor: Cursor = { bytes, at: start, end: start + length, emptyItems: 0 };
  run(plan.root, columns, cursor, n);
  if (cursor.at !== cursor.end) throw new BadRecord(`${cursor.end - cursor.at} bytes are left over after the value`);
}

function run(step: Step, columns: readonly Column[], cursor: Cursor, n: number): void {
  switch (step.kind) {
    case 'skip':
      readJson(step.avro, cursor, true);
      return;
    case 'leaf':
      runLeaf(step, columns, cursor, n);
      return;
    case 'enum':
      storeValue(columns[step.column.index]!, n, readLeaf(step.avro, cursor));
      return;
    case 'json':
      storeValue(columns[step.column.index]!, n, readJson(step.avro, cursor, false));
      return;
    case 'duration': {
      const bytes = take(cursor, 12);
      const data = new DataView(bytes.buffer, bytes.byteOffset);
      for (const [at, part] of step.parts.entries()) storeValue(columns[part.index]!, n, data.getUint32(4 * at, true));
      return;
    }
    case 'record':
      for (const { name, step: inner } of step.fields) within(name, () => run(inner, columns, cursor, n));
      for (const { column, json } of step.absent) storeDefault(columns[column.index]!, n, json);
      return;
    case 'list': {
      const column = columns[step.column.index]!;
      column.lengths[n] = runBlocks(column, cursor, step.itemBytes, (at) =>
        within('element', () => run(step.item, columns, cursor, at)),
      );
      return;
    }
    case 'map': {
      const column = columns[step.column.index]!;
      column.lengths[n] = runBlocks(column, cursor, step.itemBytes, (at) => {
        within('key', () => storeValue(columns[step.key.index]!, at, text(take(cursor, readLong(cursor)))));
        within('value', () => run(step.value, columns, cursor, at));
      });
      return;
    }
    case 'union': {
      const branch = readBranch(step.branches, cursor);
      for (const column of branch.nulls) setNull(columns[column.index]!, n);
      within(branch.name, () => run(branch.step, columns, cursor, n));
    }
  }
}

function runLeaf(step: Step & { kind: 'leaf' }, columns: readonly Column[], cursor: Cursor, n: number): void {
  const value = readLeaf(step.avro, cursor);
  // bytes promoted to a string column: the column's promise of UTF-8 holds for them too.
  if (value instanceof Uint8Array && step.column.type.kind === 'string') text(value);
  storeValue(columns[step.column.index]!, n, value);
}

function runBlocks(column: Column, cursor: Cursor, itemBytes: number, item: (at: number) => void): number {
  const domain = column.childDomain!;
  let total = 0;
  for (const count of readBlocks(cursor, itemBytes)) {
    reserve(domain, count);
    const start = domain.length;
    domain.length += count;
    for (let i = 0; i < count; i++) item(start + i);
    total += count;
  }
  return total;
}

function within(name: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    throw error instanceof BadRecord ? error.within(name) : error;
  }
}
