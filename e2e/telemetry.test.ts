import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEMO_TOPICS } from '@millrace/all-in-one';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { startIcebergRest } from './peers/iceberg-rest.ts';
import { requirePeers } from './peers/peers.ts';
import { appendCopyOfFirstBatch } from './system/append-segment.ts';
import { waitForReports } from './system/catch-up.ts';
import { millraceJson } from './system/command-line.ts';
import { partitionFolderOf, scrape } from './system/scrape.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { type FileSpan, readTraces, stageOf } from './system/spans.ts';
import { startWhole, type Whole } from './system/whole.ts';

// One deployment, every service a process of its own, and Iceberg's REST server as the outside catalog, live through
// these tests in their order.
const RECORDS = 2000;
const TOPIC = DEMO_TOPICS[0]!.name;
const METRICS_PORT = 21_000 + (process.pid % 900) * 10;
/** What a split goes through, in the order in which it begins. */
const STAGES = [
  /^metadata-discovery: plan split$/,
  /^metadata-discovery: lease split$/,
  /^parquet-converter: convert split$/,
  /^parquet-converter: read split$/,
  /^segment-reader: millrace.v1.SegmentReaderService\/ReadSplit \(server\)$/,
  /^parquet-converter: upload file$/,
  /^metadata-discovery: commit version$/,
];
const PUBLICATION = [
  /^iceberg-rest-catalog: iceberg (commit|rebuild)$/,
  /^delta-committer: delta (commit|rebuild)$/,
  /^catalog-publisher: publish table$/,
];
const COMPACTION = [
  /^maintenance-scheduler: maintenance compact$/,
  /^parquet-converter: millrace.v1.ParquetConverterService\/RewriteFiles \(server\)$/,
  /^metadata-discovery: millrace.v1.LedgerService\/ProposeRewrite \(server\)$/,
  ...PUBLICATION,
];
let scratch: Scratch;
let other: { uri: string; stop: () => Promise<void> } | undefined;
let whole: Whole | undefined;
let python: string;

beforeAll(async () => {
  scratch = await createScratch('telemetry');
});
afterAll(async () => {
  await whole?.stop();
  await other?.stop();
  await scratch.remove();
});

async function prepare(context: TestContext): Promise<void> {
  const peers = await requirePeers(context, 'python', 'iceberg-rest');
  reportOnFailure(context, () => whole);
  python = peers.python;
  other ??= await startIcebergRest(peers['iceberg-rest'], scratch.outDir);
  whole ??= await start();
}

const start = () =>
  startWhole({
    dataDir: scratch.dataDir,
    args: ['--separate', '--converters', '1', '--records', String(RECORDS)],
    env: {
      MILLRACE_METRICS_PORT: String(METRICS_PORT),
      MILLRACE_COMMIT_INTERVAL_MS: '1000',
      OTEL_BSP_SCHEDULE_DELAY: '200',
    },
  });

const traceFile = () => join(scratch.dataDir, 'run', 'traces.jsonl');
const has = (spans: readonly FileSpan[], stages: readonly RegExp[]) =>
  stages.every((stage) => spans.some((span) => stage.test(stageOf(span))));
const first = (spans: readonly FileSpan[], name: RegExp) => spans.find((span) => name.test(stageOf(span)));

/** Looks at the exported spans until some trace is as it should be. */
async function waitForTrace(what: string, is: (spans: FileSpan[]) => boolean): Promise<FileSpan[]> {
  let seen = new Map<string, FileSpan[]>();
  for (const deadline = Date.now() + 120_000; Date.now() < deadline; await sleep(200)) {
    seen = await readTraces(traceFile());
    const found = [...seen.values()].find(is);
    if (found !== undefined) return found;
  }
  const stages = [...seen.values()].map((spans) => spans.map(stageOf).join(', ')).filter((text) => !/CLI/.test(text));
  throw new Error(`no trace of ${what}; seen:\n${stages.slice(-30).join('\n')}\n${await whole?.report()}`);
}

/** Of the spans that the trace has, every one but the root hangs below another. */
function expectOneTree(spans: readonly FileSpan[]): void {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const roots = spans.filter(({ parentSpanId }) => parentSpanId === undefined || !ids.has(parentSpanId));
  expect(roots.map(stageOf)).toEqual(['metadata-discovery: plan split']);
}

const inTopic = (spans: readonly FileSpan[]) =>
  spans.some(({ name, attributes }) => name === 'plan split' && attributes['millrace.topic'] === TOPIC);

async function waitUntilRead(records: bigint): Promise<void> {
  await waitForReports(whole!, `${records} records`, 120_000, (all) => all.get(TOPIC)?.topic?.recordCount === records);
}

test('one trace goes with a split through all seven stages, in six processes', async (context) => {
  await prepare(context);
  await waitForReports(whole!, 'the demo’s tables', 60_000, (all) => all.has(TOPIC));
  await millraceJson(scratch.dataDir, 'catalogs', 'add', 'other', '--uri', other!.uri);
  await waitUntilRead(BigInt(RECORDS));
  const spans = await waitForTrace('a split', (one) => inTopic(one) && has(one, [...STAGES, ...PUBLICATION]));
  expectOneTree(spans);
  const begun = STAGES.map((stage) => first(spans, stage)!.startMicros);
  expect(begun).toEqual([...begun].sort((a, b) => a - b));

  // Every split's: also those that were committed together with others.
  const all = await waitForAllSplits();
  for (const one of all) expectOneTree(one);
});

/** The traces of all splits, once each has its publication. */
async function waitForAllSplits(): Promise<FileSpan[][]> {
  let missing: string[] = [];
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(300)) {
    const splits = [...(await readTraces(traceFile())).values()].filter((spans) =>
      spans.some(({ name }) => name === 'plan split'),
    );
    missing = splits.filter((one) => !has(one, [...STAGES, ...PUBLICATION])).map((one) => one.map(stageOf).join(', '));
    if (missing.length === 0) return splits;
  }
  throw new Error(`traces of splits that did not get to their end:\n${missing.join('\n')}`);
}

test('it goes on where it was when everything is killed between the ledger and the formats', async (context) => {
  await prepare(context);
  const before = new Set((await readTraces(traceFile())).keys());
  const isNew = (spans: FileSpan[]) => !before.has(spans[0]!.traceId) && inTopic(spans);
  const { pids } = whole!.endpoints();
  for (const name of ['iceberg-rest-catalog', 'delta-committer']) process.kill(pids[name]![0]!, 'SIGSTOP');
  await appendCopyOfFirstBatch(await partitionFolderOf(scratch.logDir, TOPIC));
  const committed = await waitForTrace('a split in the ledger', (one) => isNew(one) && has(one, STAGES));
  for (const stage of PUBLICATION) expect(first(committed, stage)).toBeUndefined();
  await whole!.kill();
  whole = undefined;
  whole = await start();

  const { traceId } = committed[0]!;
  const spans = await waitForTrace(
    'the split after the restart',
    (one) => one[0]!.traceId === traceId && has(one, [...STAGES, ...PUBLICATION]),
  );
  expectOneTree(spans);
  for (const name of ['convert split', 'commit version']) {
    expect(
      spans.filter((span) => span.name === name),
      name,
    ).toHaveLength(1);
  }
});

test('a compaction is one trace from the job to both formats and the outside catalog', async (context) => {
  await prepare(context);
  const compact = ['--min-files', '2', '--small-file', '1G', '--target-file', '1G'];
  await millraceJson(scratch.dataDir, 'maintenance', 'run', `demo.${TOPIC}`, 'compact', ...compact);
  await waitForTrace('a compaction', (one) => has(one, COMPACTION));
});

test('log lines name the trace and the span that they belong to', async (context) => {
  await prepare(context);
  const text = await readFile(join(scratch.dataDir, 'run', 'millrace.log'), 'utf8');
  const traces = await readTraces(traceFile());
  const lines = text
    .split('\n')
    .filter((line) => /"msg":"(split converted|version committed)"/.test(line))
    .map((line) => JSON.parse(line) as { trace_id: string; span_id: string; msg: string });
  expect(new Set(lines.map(({ msg }) => msg)).size).toBe(2);
  for (const { trace_id, span_id, msg } of lines) {
    const spans = traces.get(trace_id) ?? [];
    const span = spans.find(({ spanId }) => spanId === span_id);
    expect(span?.name, `${msg} ${trace_id}`).toBe(msg === 'split converted' ? 'convert split' : 'commit version');
  }
});

test('what is exposed to Prometheus is what deploy/metrics.md says, and true', async (context) => {
  await prepare(context);
  // Counters begin anew with their process: one more split, and a request.
  const before = new Set((await readTraces(traceFile())).keys());
  await appendCopyOfFirstBatch(await partitionFolderOf(scratch.logDir, TOPIC));
  await waitForTrace('one more split', (one) => !before.has(one[0]!.traceId) && has(one, [...STAGES, ...PUBLICATION]));
  expect((await fetch(`${whole!.endpoints().catalogUri}/v1/config`)).status).toBe(200);
  const uris = whole!.endpoints().metricsUris!;
  expect(uris).toHaveLength(8);
  const { families, valueFor } = await scrape(python, uris, scratch.outDir);
  const page = await readFile(join(import.meta.dirname, '..', 'deploy', 'metrics.md'), 'utf8');
  const documented = new Map(
    [...page.matchAll(/^\| `([\w.]+)` \| `(\w+)` \| (\w+) \| \S+ \| (.*?) \| .*? \| (.*) \|$/gm)].map(
      ([, , name, type, labels, about]) => [name!, { type, labels, about }],
    ),
  );
  for (const [name, { type, help, labels }] of families) {
    if (name === 'target_info' || name.startsWith('otel_sdk_')) continue;
    expect(documented.get(name), `${name} is not in deploy/metrics.md`).toMatchObject({ type, about: help });
    const legal = new Set([...documented.get(name)!.labels!.matchAll(/`([\w.]+)`/g)].map(([, label]) => label));
    for (const label of labels) {
      if (label !== 'millrace_service' && label !== 'le')
        expect(
          [...legal].map((one) => one!.replaceAll('.', '_')),
          name,
        ).toContain(label);
    }
  }
  // These count what has not happened here.
  const absent = [...documented.keys()].filter((name) => !families.has(name)).sort();
  expect(absent).toEqual([
    'millrace_bad_records_total',
    'millrace_conversion_retries_total',
    'millrace_lease_losses_total',
    'millrace_publication_drifts_total',
    'millrace_read_size_bytes_total',
  ]);
  const table = { millrace_table: `demo.${TOPIC}` };
  const rows = (await waitForReports(whole!, 'its rows', 10_000, (all) => all.has(TOPIC))).get(TOPIC)!.topic!;
  expect(valueFor('millrace_table_records', table)).toBe(Number(rows.recordCount));
  expect(valueFor('millrace_topic_lag', { millrace_topic: TOPIC })).toBe(0);
  for (const format of ['ledger', 'iceberg', 'delta']) {
    expect(valueFor('millrace_table_commit_age_seconds', { ...table, millrace_format: format })).toBeLessThan(300);
    expect(valueFor('millrace_table_freshness_seconds', { ...table, millrace_format: format })).toBeGreaterThan(0);
  }
});
