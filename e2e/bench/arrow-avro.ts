import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../peers/command.ts';
import { dataSetOf } from './data-sets/index.ts';
import { readRecords } from './measured/segment-batches.ts';
import { type MeasuredProcess, startMeasuredProcess } from './measured-process.ts';
import type { Workspace } from './workspace.ts';

const CRATE = join(import.meta.dirname, 'arrow-avro');

/** Builds arrow-avro's program with cargo, outside the tree and once for each version of it; answers with its path. */
export async function buildArrowAvro(say: (line: string) => void): Promise<string> {
  const sources = ['Cargo.toml', 'Cargo.lock', 'src/main.rs'].map((name) => readFileSync(join(CRATE, name)));
  const hash = createHash('sha256').update(Buffer.concat(sources)).digest('hex').slice(0, 12);
  const cache = process.env['MILLRACE_PEERS'] ?? join(homedir(), '.cache', 'millrace-peers');
  const target = join(cache, `arrow-avro-${hash}`);
  say('arrow-avro: cargo builds it (the first time takes minutes) …');
  const manifest = join(CRATE, 'Cargo.toml');
  await runCommand('cargo', ['build', '--release', '--locked', '--manifest-path', manifest, '--target-dir', target], {
    timeoutMs: 1_800_000,
  });
  return join(target, 'release', 'arrow-avro-bench');
}

/** The program on a data set's values. */
export async function startArrowAvro(program: string, workspace: Workspace, dataSet: string): Promise<MeasuredProcess> {
  const [schema, values] = [workspace.path(`${dataSet}.avsc`), workspace.path(`${dataSet}.values`)];
  writeFileSync(schema, dataSetOf(dataSet).schemaText);
  const file = openSync(values, 'w');
  for (const index of readRecords(await workspace.segments(dataSet))) {
    const { valueStarts, valueLengths, bytes } = index;
    const valueAt = (_: unknown, i: number) => bytes.subarray(valueStarts[i]!, valueStarts[i]! + valueLengths[i]!);
    writeSync(file, Buffer.concat(Array.from({ length: index.count }, valueAt)));
  }
  closeSync(file);
  return startMeasuredProcess(program, [schema, values]);
}
