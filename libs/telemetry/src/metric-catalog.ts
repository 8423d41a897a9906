/**
 * Every metric that Millrace exposes, by its OpenTelemetry name: semantic conventions where there are some, millrace.*
 * otherwise. deploy/metrics.md is made from this.
 */
export interface MetricDefinition {
  /** counter and histogram are told of what happens; gauge and total are read when somebody looks. */
  kind: 'counter' | 'histogram' | 'gauge' | 'total';
  /** UCUM: "s", "By", "1", or what is counted in braces. */
  unit: string;
  labels: readonly string[];
  /** Which services have it. */
  from: string;
  about: string;
  /** How values become one where labels beyond the limit share the value "other". */
  merge: 'sum' | 'max';
}

type Rest = Pick<MetricDefinition, 'from' | 'about'> & { labels?: readonly string[]; merge?: 'sum' | 'max' };

const define =
  <K extends MetricDefinition['kind']>(kind: K) =>
  (unit: string, { from, about, labels = [], merge = 'sum' }: Rest) => ({ kind, unit, labels, from, about, merge });
const counter = define('counter');
const histogram = define('histogram');
const gauge = define('gauge');
const total = define('total');

const TOPIC = 'millrace.topic';
const TABLE = 'millrace.table';
const FORMAT = 'millrace.format';
const OUTCOME = 'millrace.outcome';
const DISCOVERY = 'metadata-discovery';
const CONVERTER = 'parquet-converter';
const PROJECTORS = 'iceberg-rest-catalog, delta-committer';
const ALL = 'all';

export const METRICS = {
  'millrace.topic.lag': gauge('{offset}', {
    from: DISCOVERY,
    labels: [TOPIC],
    about: 'offsets that the source has shown and no ledger version holds yet',
  }),
  'millrace.topic.lag.duration': gauge('s', {
    from: DISCOVERY,
    labels: [TOPIC],
    merge: 'max',
    about: 'time since the oldest of these offsets was planned; 0 without lag',
  }),
  'millrace.topics': gauge('{topic}', {
    from: DISCOVERY,
    labels: ['millrace.state'],
    about: 'topics by state: running, paused, suspended',
  }),
  'millrace.splits': gauge('{split}', {
    from: DISCOVERY,
    labels: [TOPIC, 'millrace.state'],
    about:
      'splits that are not committed: waiting (the queue of the converters), leased (leases held), converted (waiting for the commit)',
  }),
  'millrace.splits.planned': counter('{split}', { from: DISCOVERY, labels: [TOPIC], about: 'splits planned' }),
  'millrace.leases': counter('{lease}', {
    from: DISCOVERY,
    labels: [OUTCOME],
    about:
      'leases given, and how they ended: completed, released (drain), failed (the split is tried again), expired (its owner was not heard of), refused (calls of an owner that had lost its lease)',
  }),
  'millrace.converters.waiting': gauge('{call}', {
    from: DISCOVERY,
    about: 'converters that wait for a split: spare capacity',
  }),
  'millrace.bad_records': counter('{record}', {
    from: DISCOVERY,
    labels: [TOPIC, 'millrace.policy'],
    about: 'records that could not be decoded and were skipped (skip) or kept as dead letters (log)',
  }),
  'millrace.ledger.commit.duration': histogram('s', {
    from: DISCOVERY,
    labels: [OUTCOME],
    about: "time of a commit, the ledger's transaction: ok, conflict (another owner was faster), error",
  }),
  'millrace.ledger.records': counter('{record}', { from: DISCOVERY, labels: [TOPIC], about: 'rows committed' }),
  'millrace.ledger.size': counter('By', { from: DISCOVERY, labels: [TOPIC], about: 'bytes of data files committed' }),
  'millrace.ledger.files': counter('{file}', { from: DISCOVERY, labels: [TOPIC], about: 'data files committed' }),
  'millrace.table.freshness': gauge('s', {
    from: `${DISCOVERY}, ${PROJECTORS}`,
    labels: [TABLE, FORMAT],
    merge: 'max',
    about:
      "time since the Kafka timestamp of the newest record that the format's table shows (ledger, iceberg, delta); it grows while the topic is idle",
  }),
  'millrace.table.commit.age': gauge('s', {
    from: `${DISCOVERY}, ${PROJECTORS}`,
    labels: [TABLE, FORMAT],
    merge: 'max',
    about: "time since the commit of the newest ledger version that the format's table shows",
  }),
  'millrace.table.records': gauge('{record}', { from: DISCOVERY, labels: [TABLE], about: 'rows of the table' }),
  'millrace.table.size': gauge('By', { from: DISCOVERY, labels: [TABLE], about: "bytes of the table's data files" }),
  'millrace.table.files': gauge('{file}', { from: DISCOVERY, labels: [TABLE], about: 'data files of the table' }),
  'millrace.projection.commit.duration': histogram('s', {
    from: PROJECTORS,
    labels: [FORMAT, OUTCOME],
    about: 'time of bringing one ledger version into the format: ok, error',
  }),
  'millrace.projection.lag': gauge('{version}', {
    from: PROJECTORS,
    labels: [TABLE, FORMAT],
    about: "ledger versions that the format's table does not show yet",
  }),
  'millrace.conversion.duration': histogram('s', {
    from: CONVERTER,
    labels: [OUTCOME],
    about: 'time from lease to completion of a split: completed, released, failed, lost (its lease went to another)',
  }),
  'millrace.conversion.records': counter('{record}', { from: CONVERTER, labels: [TOPIC], about: 'rows written' }),
  'millrace.conversion.size': counter('By', { from: CONVERTER, labels: [TOPIC], about: 'bytes of Parquet written' }),
  'millrace.conversion.files': counter('{file}', { from: CONVERTER, labels: [TOPIC], about: 'Parquet files written' }),
  'millrace.conversion.log.size': counter('By', {
    from: CONVERTER,
    labels: [TOPIC],
    about: 'bytes of log, as stored, of the splits converted',
  }),
  'millrace.conversion.retries': counter('{retry}', {
    from: CONVERTER,
    about: 'tries of a split after the first, inside one lease',
  }),
  'millrace.conversion.active': gauge('{split}', {
    from: CONVERTER,
    about: 'splits that this process has leased: at most two for each of its loops',
  }),
  'millrace.lease.losses': counter('{lease}', {
    from: CONVERTER,
    about: 'leases that went to another converter while this one worked on the split',
  }),
  'millrace.rewrite.duration': histogram('s', {
    from: CONVERTER,
    labels: [OUTCOME],
    about: 'time of a rewrite (compaction): ok, error',
  }),
  'millrace.rewrite.records': counter('{record}', { from: CONVERTER, about: 'rows rewritten' }),
  'millrace.rewrite.active': gauge('{rewrite}', { from: CONVERTER, about: 'rewrites under way' }),
  'millrace.read.active': gauge('{stream}', { from: 'segment-reader', about: 'reads under way' }),
  'millrace.read.size': counter('By', {
    from: 'segment-reader',
    labels: [TOPIC],
    about: 'bytes of record batches sent; none where converters read the store themselves',
  }),
  'millrace.publications': gauge('{publication}', {
    from: 'catalog-publisher',
    labels: ['millrace.integration', 'millrace.state'],
    about:
      'tables in outside catalogs: published, drifted (found changed by others at the last check, and repaired), failed, pending',
  }),
  'millrace.publication.duration': histogram('s', {
    from: 'catalog-publisher',
    labels: ['millrace.integration', OUTCOME],
    about: 'time of an attempt: published, unchanged, withdrawn, pending (nothing to show yet), error',
  }),
  'millrace.publication.drifts': counter('{publication}', {
    from: 'catalog-publisher',
    labels: ['millrace.integration'],
    about: 'publications that were found changed by others, and repaired',
  }),
  'millrace.maintenance.job.duration': histogram('s', {
    from: 'maintenance-scheduler',
    labels: ['millrace.job', OUTCOME],
    about: 'time of a job (compact, expire, sweep): ok, error; dry runs too',
  }),
  'millrace.maintenance.jobs.waiting': gauge('{job}', {
    from: 'maintenance-scheduler',
    about: 'jobs that wait for their turn',
  }),
  'millrace.maintenance.changes': counter('1', {
    from: 'maintenance-scheduler',
    labels: ['millrace.job', 'millrace.change'],
    about: "what jobs did, by the names of the job history's counts",
  }),
  'millrace.actors': gauge('{actor}', { from: ALL, about: 'topics, tables and publications that this process owns' }),
  'millrace.actor.messages': gauge('{message}', { from: ALL, about: 'messages that wait in all mailboxes' }),
  'millrace.actor.messages.max': gauge('{message}', {
    from: ALL,
    merge: 'max',
    about: 'messages that wait in the fullest mailbox; more than 1,000 are refused',
  }),
  'millrace.rpc.server.active': gauge('{call}', { from: ALL, about: 'gRPC calls being answered, streams too' }),
  'rpc.server.call.duration': histogram('s', {
    from: ALL,
    labels: ['rpc.system.name', 'rpc.method', 'rpc.response.status_code'],
    about: 'time of gRPC calls answered, streams to their end',
  }),
  'rpc.client.call.duration': histogram('s', {
    from: ALL,
    labels: ['rpc.system.name', 'rpc.method', 'rpc.response.status_code'],
    about: 'time of gRPC calls made, streams to their end',
  }),
  'http.server.request.duration': histogram('s', {
    from: 'iceberg-rest-catalog',
    labels: ['http.request.method', 'http.route', 'http.response.status_code'],
    about: 'time of requests to the Iceberg REST API',
  }),
  'process.cpu.time': total('s', { from: ALL, labels: ['cpu.mode'], about: 'CPU time of the process: user, system' }),
  'process.memory.usage': gauge('By', { from: ALL, about: 'resident memory of the process' }),
  'process.uptime': gauge('s', { from: ALL, about: 'time since the process started' }),
  'v8js.memory.heap.used': gauge('By', { from: ALL, about: 'memory that JavaScript objects take' }),
  'nodejs.eventloop.delay.mean': gauge('s', { from: ALL, about: 'mean delay of the event loop since the last look' }),
  'nodejs.eventloop.delay.p99': gauge('s', { from: ALL, about: '99th percentile of it' }),
  'nodejs.eventloop.delay.max': gauge('s', { from: ALL, about: 'the most of it' }),
  'nodejs.eventloop.utilization': gauge('1', {
    from: ALL,
    about: 'share of the time since the last look in which the event loop was busy',
  }),
} as const satisfies Record<string, MetricDefinition>;

type Named<K extends MetricDefinition['kind']> = {
  [N in keyof typeof METRICS]: (typeof METRICS)[N]['kind'] extends K ? N : never;
}[keyof typeof METRICS];
export type MetricName = keyof typeof METRICS;
export type CounterName = Named<'counter'>;
export type HistogramName = Named<'histogram'>;
export type ObservedName = Named<'gauge' | 'total'>;
export type LabelsOf<N extends MetricName> = (typeof METRICS)[N] extends { labels: readonly (infer L extends string)[] }
  ? { [K in L]?: string }
  : never;

const UNIT_WORDS: Record<string, string> = { s: 'seconds', By: 'bytes', '1': 'ratio' };

/** A metric's name in Prometheus, as OpenTelemetry's compatibility specification makes it: unit, and _total of counters. */
export function prometheusName(name: string, unit: string, isCounter: boolean): string {
  const base = name.replace(/[^a-zA-Z0-9]+/g, '_');
  const word = unit === '1' && isCounter ? undefined : UNIT_WORDS[unit];
  const withUnit = word === undefined || base.endsWith(`_${word}`) ? base : `${base}_${word}`;
  return isCounter ? `${withUnit}_total` : withUnit;
}

/** deploy/metrics.md. */
export function metricsPage(): string {
  const rows = Object.entries(METRICS).map(
    ([name, { kind, unit, labels, from, about }]: [string, MetricDefinition]) => {
      const isCounter = kind === 'counter' || kind === 'total';
      const type = isCounter ? 'counter' : kind;
      const names = labels.map((label) => `\`${label}\``).join(', ');
      return `| \`${name}\` | \`${prometheusName(name, unit, isCounter)}\` | ${type} | ${unit} | ${names} | ${from} | ${about} |`;
    },
  );
  return `${INTRODUCTION}
| OpenTelemetry | Prometheus | type | unit | labels | services | meaning |
|---|---|---|---|---|---|---|
${rows.join('\n')}
`;
}

const INTRODUCTION = `<!-- Made from libs/telemetry/src/metric-catalog.ts: npx vitest run --project quick libs/telemetry -u -->
# Metrics

Prometheus scrapes \`http://<host>:<metricsPort>/metrics\` of each service (off while \`metricsPort\` is 0; \`https\`, with a client
certificate, where the service has TLS); \`metrics: otlp\` sends the same to a collector, by the standard OTEL_ variables. Names are OpenTelemetry's; Prometheus has them with \`_\` for \`.\`, the
unit, and \`_total\` for counters. In labels, too, \`.\` becomes \`_\`.

- Everything but \`process.*\`, \`nodejs.*\` and \`v8js.*\` also has the label \`millrace.service\`.
- \`millrace.topic\` and \`millrace.table\` take at most \`metricsTopics\` values a process (default 500); the rest are \`other\`: sums
  of counts, the greatest of times.
- metadata-discovery reads its gauges from the ledger when it is scraped: every replica shows the same, so take \`max by\`.
  \`millrace.splits{millrace_state="waiting"}\` and \`millrace.topic.lag\` there are what autoscaling needs.
- Where traces are kept, \`otel.sdk.processor.span.processed\` counts spans, those that were dropped with an \`error.type\`
  (\`queue_full\`: the collector was away), and \`otel.sdk.processor.span.queue.size\` and \`.capacity\` show the queue.
`;
