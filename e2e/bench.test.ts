import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Report } from './bench/result.ts';
import { type CommandResult, runCommand } from './peers/command.ts';
import { requirePeers } from './peers/peers.ts';
import { ROOT } from './system/whole.ts';

// That the benchmark works, not what it finds: a few records say nothing of speed.
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-bench-test-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const bench = (...args: string[]): Promise<CommandResult> =>
  runCommand('npm', ['run', '-s', 'bench', '--', ...args], { cwd: ROOT, anyCode: true });

test('stages are measured beside others, and compared with an earlier run', async (context) => {
  const { python } = await requirePeers(context, 'python');
  const [json, earlier] = [join(dir, 'now.json'), join(dir, 'earlier.json')];
  const args = ['--records', '4000', '--rounds', '2', '--python', join(python, 'bin', 'python')];
  const only = ['--only', '^(encode|decode|scan|rewrite)/orders(/json|/avro)?$'];
  const first = await bench(...args, ...only, '--json', json);
  expect(first.code, first.stderr).toBe(0);

  const report = JSON.parse(await readFile(json, 'utf8')) as Report;
  const results = new Map(report.results.map((result) => [result.name, result]));
  for (const { name, cpuSecondsPerMillion, peakRssMegabytes, records } of report.results) {
    expect(cpuSecondsPerMillion, name).toBeGreaterThan(0);
    expect(peakRssMegabytes, name).toBeGreaterThan(10);
    expect(records, name).toBeGreaterThan(0);
  }
  expect(results.get('encode/orders')!.records).toBe(4000);
  expect(results.get('rewrite/orders')!.records).toBe(4000);
  expect(results.get('scan/orders')!.records).toBe(4000);
  expect(Object.keys(results.get('encode/orders')!.ratios)).toEqual(
    expect.arrayContaining(['pyarrow-write', 'pyarrow-write/bytes', 'duckdb-copy', 'parquetjs-lite']),
  );
  expect(Object.keys(results.get('decode/orders/json')!.ratios)).toEqual(['JSON.parse']);
  expect(Object.keys(results.get('rewrite/orders')!.ratios)).toContain('duckdb-copy');
  expect(first.stdout).toContain('≤ 1.050');
  expect(first.stdout).not.toContain('flow/orders');

  // A twentieth of what it was: whatever this machine does meanwhile, the comparison must say so.
  const faster = report.results.map((result) => ({
    ...result,
    cpuSecondsPerMillion: result.cpuSecondsPerMillion / 20,
  }));
  await writeFile(earlier, JSON.stringify({ ...report, results: faster }));
  const second = await bench(...args, '--only', '^scan', '--compare', earlier);
  expect(second.code, second.stderr).toBe(0);
  expect(second.stdout).toMatch(/^scan\/orders .*▲/m);
});

test('a wrong command line is refused with what is legal', async () => {
  expect((await bench('--records', 'many')).code).toBe(2);
  expect((await bench('--fast')).stderr).toContain('--help');
  expect((await bench('--help')).stdout).toContain('--compare FILE');
});

test('a flame graph shows the pipeline’s own functions', async () => {
  const { code, stderr } = await bench('--flame', join(dir, 'flame'), '--records', '20000');
  expect(code, stderr).toBe(0);
  expect(await readFile(join(dir, 'flame.svg'), 'utf8')).toContain('libs/parquet/src/');
  expect(JSON.parse(await readFile(join(dir, 'flame.cpuprofile'), 'utf8')).nodes.length).toBeGreaterThan(50);
});
