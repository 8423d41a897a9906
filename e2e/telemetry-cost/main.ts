import { parseArgs } from 'node:util';
import { dataSetOf } from '../bench/data-sets/index.ts';
import { startFlow } from '../bench/flow.ts';
import { type Measurement, runGroup } from '../bench/measurement.ts';
import { median } from '../bench/result.ts';
import { createWorkspace } from '../bench/workspace.ts';

const HELP = `npm run telemetry-cost -- [--records N] [--rounds N]

What tracing and metrics cost: CPU seconds of the whole flow (all seven services, from the moment that a partition's
segments appear until both formats have committed its rows) with every span exported to a file and every process scraped
every 15 s, over the same without either. Two deployments take turns, round by round; the cost is the median of the rounds'
ratios.

  --records N   orders a round (default: a split's worth, 2.2 million)
  --rounds N    default 9`;

const SCRAPE_MS = 15_000;
const PROCESSES = 8;
const METRICS_PORT = 22_000 + (process.pid % 900) * 10;
const GOAL = 0.03;

// Deployments that run are ended by who started them, on exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const { values } = parseArgs({
  options: { records: { type: 'string' }, rounds: { type: 'string' }, help: { type: 'boolean', default: false } },
});
if (values.help) console.log(HELP);
else await measure(Number(values.records ?? dataSetOf('orders').flowRecords), Number(values.rounds ?? 9));

async function measure(records: number, rounds: number): Promise<void> {
  const say = (line: string) => console.error(line);
  const dataSet = dataSetOf('orders');
  const workspace = createWorkspace({
    recordsOf: () => records,
    flowRecordsOf: () => records,
    codecsOf: () => ['zstd'],
    say,
  });
  const flow = (name: string, env: Record<string, string>): Measurement => ({
    results: [{ name, shared: true }],
    start: async () =>
      startFlow({ dataSet, log: await workspace.flowLog('orders'), codec: 'zstd', root: workspace.path(name), env }),
  });
  let scrapes = 0;
  const scraper = setInterval(() => {
    for (let i = 0; i < PROCESSES; i++) {
      fetch(`http://127.0.0.1:${METRICS_PORT + i}/metrics`)
        .then(async (response) => {
          await response.text();
          scrapes++;
        })
        .catch(() => {});
    }
  }, SCRAPE_MS);
  try {
    const measurements = [
      flow('without', { MILLRACE_TRACES: 'none' }),
      // The trace file is the default.
      flow('with', { MILLRACE_METRICS_PORT: String(METRICS_PORT) }),
    ];
    const results = await runGroup({ measurements, ratios: [] }, rounds, say);
    const seconds = (name: string) => results.get(name)!.rounds.map((round) => round.cpuSeconds);
    const [without, withBoth] = [seconds('without'), seconds('with')];
    const ratios = withBoth.map((one, i) => one / without[i]!);
    const cost = median(ratios) - 1;
    for (const [i, ratio] of ratios.entries()) {
      console.log(
        `round ${i + 1}: ${without[i]!.toFixed(3)} s without, ${withBoth[i]!.toFixed(3)} s with: ${percent(ratio - 1)}`,
      );
    }
    console.log(
      `medians: ${median(without).toFixed(3)} s without, ${median(withBoth).toFixed(3)} s with; ${scrapes} scrapes`,
    );
    console.log(
      `tracing and metrics cost ${percent(cost)} of CPU; goal ≤ ${percent(GOAL)}: ${cost <= GOAL ? 'reached' : 'missed'}`,
    );
  } finally {
    clearInterval(scraper);
    workspace.remove();
  }
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
