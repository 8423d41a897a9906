import { setTimeout as sleep } from 'node:timers/promises';
import type { Deployment } from './deployment.ts';

const POLL_MS = 2_000;

export const countOf = (text: string, what: string): number => text.split(what).length - 1;

/** What `millrace --json tables list` says of a table, as far as it is of interest. */
interface Report {
  table: { topic: string; location: string };
  topic?: { recordCount: string; pendingSplits: number; ledgerVersion: string };
  iceberg?: { ledgerVersion: string };
  delta?: { ledgerVersion: string };
}

/** Waits until these topics' tables have so many rows each, in both formats; answers with their locations. */
export async function caughtUp(
  deployment: Deployment,
  topics: string[],
  records: number,
  timeoutMs: number,
): Promise<Map<string, string>> {
  let last = '';
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(POLL_MS)) {
    const answer = await deployment.millrace('--json', 'tables', 'list').catch((error) => String(error));
    last = answer.slice(-2_000);
    if (!answer.startsWith('[')) continue;
    const reports = (JSON.parse(answer) as Report[]).filter(({ table }) => topics.includes(table.topic));
    last = reports
      .map(({ table, topic, iceberg, delta }) =>
        [table.topic, topic?.recordCount, topic?.ledgerVersion, iceberg?.ledgerVersion, delta?.ledgerVersion].join(' '),
      )
      .join('; ');
    const done = reports.filter(
      ({ topic, iceberg, delta }) =>
        Number(topic?.recordCount) === records &&
        iceberg?.ledgerVersion === topic?.ledgerVersion &&
        delta?.ledgerVersion === topic?.ledgerVersion,
    );
    if (done.length === topics.length) return new Map(done.map(({ table }) => [table.topic, table.location]));
  }
  throw new Error(`not caught up within ${timeoutMs} ms (topic, rows, version in ledger, Iceberg, Delta): ${last}`);
}

interface ExportedSpan {
  service: string;
  traceId: string;
  name: string;
  links: string[];
}

/** What tells a stage of a split's way. */
const STAGES: Record<string, (span: ExportedSpan) => boolean> = {
  plan: ({ service, name }) => service === 'metadata-discovery' && name === 'plan split',
  lease: ({ service, name }) => service === 'metadata-discovery' && name === 'lease split',
  read: ({ service }) => service === 'segment-reader',
  convert: ({ service, name }) => service === 'parquet-converter' && name === 'convert split',
  upload: ({ service, name }) => service === 'parquet-converter' && name === 'upload file',
  ledger: ({ service, name }) => service === 'metadata-discovery' && /commit/.test(name),
  iceberg: ({ service, name }) => service === 'iceberg-rest-catalog' && /project|commit/.test(name),
  delta: ({ service, name }) => service === 'delta-committer' && /project|commit/.test(name),
  publish: ({ service, name }) => service === 'catalog-publisher' && /publish/.test(name),
};

export interface SeenTrace {
  traceId: string;
  stages: string[];
  services: string[];
  spans: number;
  names: string[];
}

/** The trace that holds the most of these stages; waits until one holds all of them. */
export async function serviceChain(deployment: Deployment, stages: string[], timeoutMs: number): Promise<SeenTrace> {
  let best: SeenTrace = { traceId: '', stages: [], services: [], spans: 0, names: [] };
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(POLL_MS)) {
    const text = await deployment.file('collector', '/traces/traces.jsonl').catch(() => '');
    const whole = text.slice(0, text.lastIndexOf('}') + 1).split('\n');
    const spans = whole.filter((line) => line !== '').map((line) => JSON.parse(line) as ExportedSpan);
    for (const [traceId, ofTrace] of Map.groupBy(spans, (span) => span.traceId)) {
      const seen = stages.filter((stage) => ofTrace.some(STAGES[stage]!));
      if (seen.length <= best.stages.length) continue;
      const services = [...new Set(ofTrace.map(({ service }) => service))];
      const names = [...new Set(ofTrace.map(({ service, name }) => `${service}: ${name}`))];
      best = { traceId, stages: seen, services, spans: ofTrace.length, names };
    }
    if (best.stages.length === stages.length) break;
  }
  return best;
}
