import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endpointsFile, readEndpoints } from '@millrace/cli';
import { expect, test } from 'vitest';
import { openDataFolder } from './data-folder.ts';

test('one owner at a time; the endpoints file goes with it', () => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-folder-'));
  const folder = openDataFolder(root);
  expect(() => openDataFolder(root)).toThrow(expect.objectContaining({ kind: 'conflict', code: 'data-folder-in-use' }));
  const endpoints = { pid: 1, catalogUri: 'http://x', warehouseUri: 'file:///w', services: { a: 'b:1' }, pids: {} };
  folder.writeEndpoints(endpoints);
  expect(readEndpoints(endpointsFile(root))).toEqual(endpoints);
  folder.release();
  expect(existsSync(endpointsFile(root))).toBe(false);
  openDataFolder(root).release();
  rmSync(root, { recursive: true });
});
