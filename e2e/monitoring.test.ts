import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { METRICS, prometheusName } from '@millrace/telemetry';
import { expect, test } from 'vitest';
import { runCommand } from './peers/command.ts';
import { requirePeers } from './peers/peers.ts';
import { ROOT } from './system/whole.ts';

// The dashboard and the alert rules ask for metrics that exist, with labels that they have. That those are exposed as the
// catalog says is shown by telemetry.test.ts.
const DASHBOARD = join(ROOT, 'deploy', 'dashboards', 'millrace.json');
const RULES = join(ROOT, 'deploy', 'alerts', 'millrace.yaml');

/** What Prometheus stores, with the labels of each. */
const stored = new Map<string, Set<string>>();
for (const [name, { kind, unit, labels }] of Object.entries(METRICS)) {
  const base = prometheusName(name, unit, kind === 'counter' || kind === 'total');
  const known = new Set(['instance', 'job', 'millrace_service', ...labels.map((label) => label.replaceAll('.', '_'))]);
  if (kind !== 'histogram') stored.set(base, known);
  else for (const suffix of ['bucket', 'sum', 'count']) stored.set(`${base}_${suffix}`, new Set([...known, 'le']));
}
stored.set('otel_sdk_processor_span_processed_total', new Set(['instance', 'error_type']));

/** Metrics and labels of one query that there are not. */
function unknownIn(query: string): string[] {
  const names = [...query.matchAll(/\b(?:millrace|rpc|http|process|nodejs|v8js|otel)_\w+(?=[{[\s),]|$)/g)].map(
    ([name]) => name,
  );
  const metrics = names.filter((name) => stored.has(name));
  const labels = new Set(metrics.flatMap((name) => [...stored.get(name)!]));
  const used = [
    ...[...query.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => label!),
    ...[...query.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(/,\s*/)),
  ];
  if (metrics.length === 0) return [`no metric in ${query}`];
  return [...names.filter((name) => !stored.has(name) && !labels.has(name)), ...used.filter((one) => !labels.has(one))];
}

interface Panel {
  title: string;
  targets?: { expr: string }[];
}

test('every query of the dashboard asks for what is there', async () => {
  const dashboard = JSON.parse(await readFile(DASHBOARD, 'utf8')) as {
    panels: Panel[];
    templating: { list: { definition?: string }[] };
  };
  const queries = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
  expect(queries.length).toBeGreaterThan(40);
  for (const { title, expr } of queries) expect(unknownIn(expr), `${title}: ${expr}`).toEqual([]);
  const variables = dashboard.templating.list.flatMap(({ definition = '' }) => [
    ...definition.matchAll(/^label_values\((\w+), (\w+)\)$/g),
  ]);
  expect(variables.length).toBe(2);
  for (const [, name, label] of variables) expect(stored.get(name!), name).toContain(label);
});

test('the check of queries finds what is not there', () => {
  expect(unknownIn('rate(millrace_ledger_rows_total[5m])')).not.toEqual([]);
  expect(unknownIn('sum by (topic) (millrace_topic_lag)')).toEqual(['topic']);
  expect(unknownIn('millrace_splits{state="waiting"}')).toEqual(['state']);
});

test('promtool finds the rules right, and every case of their tests as it should be', async (context) => {
  const { promtool } = await requirePeers(context, 'promtool');
  const command = join(promtool, 'promtool');
  const text = await readFile(RULES, 'utf8');
  const expressions = [...text.matchAll(/expr: (\|\n(?: {10}.*\n)+|.*\n)/g)].map(([, expr]) =>
    expr!.replace(/^\|/, ''),
  );
  expect(expressions.length).toBe(text.match(/- alert:/g)!.length);
  for (const expr of expressions) expect(unknownIn(expr), expr).toEqual([]);
  await runCommand(command, ['check', 'rules', '--lint=all', '--lint-fatal', RULES]);
  const { stdout } = await runCommand(command, ['test', 'rules', RULES.replace('.yaml', '.test.yaml')]);
  expect(stdout).toContain('SUCCESS');
});
