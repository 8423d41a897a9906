import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { describeConfig, loadConfig } from './config.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const schema = z.object({
  warehouseUri: z.string().describe('URI of the warehouse'),
  rowGroupBytes: z.number().int().min(1).default(64).describe('bytes of a row group'),
  topics: z
    .array(z.object({ name: z.string() }))
    .default([])
    .describe('topics'),
  late: z.number().describe('described before its default').default(3),
  log: z.object({ level: z.enum(['info', 'debug']).default('info').describe('least level') }).prefault({}),
});

function yaml(text: string): string {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, text);
  return file;
}

test('defaults, file, and the environment over the file', () => {
  const file = yaml('warehouseUri: file:///a\nrowGroupBytes: 7\nlog:\n  level: debug\ntopics:\n  - name: orders\n');
  expect(loadConfig(schema, 'MR', { MR_CONFIG: file, MR_ROW_GROUP_BYTES: '9', OTHER: 'x' })).toEqual({
    warehouseUri: 'file:///a',
    rowGroupBytes: 9,
    topics: [{ name: 'orders' }],
    late: 3,
    log: { level: 'debug' },
  });
  expect(loadConfig(schema, 'MR', { MR_WAREHOUSE_URI: '12', MR_LOG_LEVEL: 'debug' })).toMatchObject({
    warehouseUri: '12',
    rowGroupBytes: 64,
    log: { level: 'debug' },
  });
});

test.each([
  [
    'warehouseUri: a\nrowGroupByte: 7',
    /config\.yaml: unknown key rowGroupByte; legal keys: warehouseUri, rowGroupBytes/,
  ],
  ['warehouseUri: a\nlog:\n  lvl: info', /config\.yaml: unknown key log\.lvl; legal keys: log\.level/],
  ['warehouseUri: a\nlog:\n  level: loud', /config\.yaml: log\.level: .*"info"\|"debug".*\(least level\)/],
  [
    'rowGroupBytes: 7',
    /^warehouseUri is not set: give it as warehouseUri in .*config\.yaml, or as MR_WAREHOUSE_URI \(URI of the warehouse\)$/,
  ],
  ['- a', /must hold a mapping/],
  ['a: [', /is not YAML/],
])('%j is refused with file, key and legal values', (text, message) => {
  expect(() => loadConfig(schema, 'MR', {}, yaml(text))).toThrow(message);
});

test('wrong environment names the variable', () => {
  const env = { MR_WAREHOUSE_URI: 'a' };
  expect(() => loadConfig(schema, 'MR', { ...env, MR_ROW_GROUP_BYTES: 'many' })).toThrow(
    /environment variable MR_ROW_GROUP_BYTES: rowGroupBytes: .*number.*\(bytes of a row group\)/,
  );
  expect(() => loadConfig(schema, 'MR', { ...env, MR_ROW_GROUP: '1' })).toThrow(
    /MR_ROW_GROUP is not a setting; legal ones: .*MR_ROW_GROUP_BYTES/,
  );
  expect(() => loadConfig(schema, 'MR', {}, '/nowhere/x.yaml')).toThrow(/\/nowhere\/x\.yaml can't be read/);
});

test('every key is described', () => {
  expect(describeConfig(schema, 'MR')).toEqual([
    'warehouseUri | MR_WAREHOUSE_URI | required | URI of the warehouse',
    'rowGroupBytes | MR_ROW_GROUP_BYTES | 64 | bytes of a row group',
    'topics | MR_TOPICS | [] | topics',
    'late | MR_LATE | 3 | described before its default',
    'log.level | MR_LOG_LEVEL | "info" | least level',
  ]);
});

test('a text comes from a file that a variable names; never from two places', () => {
  const file = join(folder, 'secret');
  writeFileSync(file, 'file:///mounted\n');
  expect(loadConfig(schema, 'MR', { MR_WAREHOUSE_URI_FILE: file })).toMatchObject({ warehouseUri: 'file:///mounted' });
  expect(() => loadConfig(schema, 'MR', { MR_WAREHOUSE_URI_FILE: file, MR_WAREHOUSE_URI: 'x' })).toThrow(
    /MR_WAREHOUSE_URI and MR_WAREHOUSE_URI_FILE are both set/,
  );
  expect(() => loadConfig(schema, 'MR', { MR_WAREHOUSE_URI_FILE: '/nowhere/x' })).toThrow(
    /file that MR_WAREHOUSE_URI_FILE names \/nowhere\/x can't be read/,
  );
  expect(() => loadConfig(schema, 'MR', { MR_WAREHOUSE_URI: 'x', MR_ROW_GROUP_BYTES_FILE: file })).toThrow(
    /MR_ROW_GROUP_BYTES_FILE is not a setting/,
  );
});

test('errors of a file or a variable show no values', () => {
  const broken = yaml('late: 1\nwarehouseUri: "swordfish-1\nrowGroupBytes: 1\n');
  const fails = (env: Record<string, string>) => {
    try {
      loadConfig(schema, 'MR', env);
    } catch (error) {
      return `${(error as Error).stack}`;
    }
    return 'nothing failed';
  };
  expect(fails({ MR_CONFIG: broken })).toMatch(/config\.yaml is not YAML: line \d/);
  expect(fails({ MR_CONFIG: broken })).not.toContain('swordfish');
  expect(fails({ MR_WAREHOUSE_URI: 'x', MR_TOPICS: '[swordfish-1' })).toMatch(/variable MR_TOPICS is not YAML/);
  expect(fails({ MR_WAREHOUSE_URI: 'x', MR_TOPICS: '[swordfish-1' })).not.toContain('swordfish');
  expect(fails({ MR_WAREHOUSE_URI: 'x', MR_LOG_LEVEL: 'swordfish-1' })).not.toContain('swordfish');
});
