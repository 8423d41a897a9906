import { expect, test } from 'vitest';
import { metricsPage, prometheusName } from './metric-catalog.ts';

test('deploy/metrics.md is the catalog', async () => {
  await expect(metricsPage()).toMatchFileSnapshot('../../../deploy/metrics.md');
});

test('names in Prometheus carry the unit once, and _total', () => {
  expect(prometheusName('process.cpu.time', 's', true)).toBe('process_cpu_time_seconds_total');
  expect(prometheusName('millrace.topic.lag', '{offset}', false)).toBe('millrace_topic_lag');
  expect(prometheusName('millrace.ledger.size', 'By', true)).toBe('millrace_ledger_size_bytes_total');
  expect(prometheusName('nodejs.eventloop.utilization', '1', false)).toBe('nodejs_eventloop_utilization_ratio');
  expect(prometheusName('millrace.maintenance.changes', '1', true)).toBe('millrace_maintenance_changes_total');
});
