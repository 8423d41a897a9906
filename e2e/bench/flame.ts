import { writeFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector/promises';
import { drawFlameGraph } from './flame-graph.ts';
import { createConversion } from './measured/conversion.ts';
import type { Workspace } from './workspace.ts';

const WARM_UP_ROUNDS = 3;
const ROUNDS = 3;
const SAMPLE_MICROS = 200;

/** Profiles the pipeline over a data set, warm: `<out>.cpuprofile` for speedscope and DevTools, `<out>.svg` to look at. */
export async function profilePipeline(workspace: Workspace, dataSet: string, out: string): Promise<string[]> {
  const folder = await workspace.segments(dataSet);
  const run = createConversion({ kind: 'conversion', dataSet, folder, out: workspace.path(`${dataSet}.parquet`) });
  for (let n = 0; n < WARM_UP_ROUNDS; n++) await run();
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROS });
  await session.post('Profiler.start');
  for (let n = 0; n < ROUNDS; n++) await run();
  const { profile } = (await session.post('Profiler.stop')) as { profile: Profiler.Profile };
  session.disconnect();
  const base = out.replace(/\.(cpuprofile|svg)$/, '');
  const files = [`${base}.cpuprofile`, `${base}.svg`];
  writeFileSync(files[0]!, JSON.stringify(profile));
  writeFileSync(files[1]!, drawFlameGraph(profile, `${dataSet}: segments to Parquet, Node ${process.version}`));
  return files;
}
