import { MillraceError } from '@millrace/base';
import type { ObjectStore } from '@millrace/object-store';
import type { Action } from './actions.ts';

// biome-ignore lint/correctness/useYield: replaced when the Parquet reader is there
export async function* readCheckpoint(_store: ObjectStore, key: string): AsyncIterable<Action[]> {
  throw new MillraceError('unsupported', `${key}: checkpoints are not read yet`);
}
