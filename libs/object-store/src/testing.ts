import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ObjectStore } from './object-store.ts';
import { openStore } from './open-store.ts';

/**
 * An empty store for a test: a folder, or, where MILLRACE_TEST_STORE holds a store's URI, a prefix of its own in there,
 * so that the same tests run on every store.
 */
export function testStore(): { store: ObjectStore; remove(): Promise<void> } {
  const given = process.env.MILLRACE_TEST_STORE;
  if (given === undefined || given === '') {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-store-'));
    return { store: openStore(folder), remove: () => rm(folder, { recursive: true }) };
  }
  const [place, query] = given.split('?');
  const root = `${place}/${randomBytes(8).toString('hex')}`;
  return { store: openStore(query === undefined ? root : `${root}?${query}`), remove: async () => {} };
}
