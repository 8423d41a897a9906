import { count } from '@millrace/cli';
import { Presets, SingleBar } from 'cli-progress';

/** One line of progress at a time: a bar on a terminal, now and then a plain line elsewhere. */
export interface Progress {
  update(done: number, total: number): void;
  end(): void;
}

const PLAIN_EVERY_MS = 5_000;

export function createProgress(title: string, unit: string): Progress {
  if (!process.stderr.isTTY) return plainProgress(title, unit);
  const bar = new SingleBar(
    {
      format: `${title.padEnd(12)} {bar} {percentage}% · {value}/{total} ${unit} · {eta_formatted}`,
      formatValue: (value, _options, type) => (type === 'value' || type === 'total' ? count(value) : String(value)),
      hideCursor: true,
      etaBuffer: 50,
    },
    Presets.shades_classic,
  );
  let started = false;
  return {
    update(done, total) {
      if (started) bar.setTotal(total);
      else bar.start(total, done);
      started = true;
      bar.update(done);
    },
    end: () => bar.stop(),
  };
}

function plainProgress(title: string, unit: string): Progress {
  let nextMs = Date.now() + PLAIN_EVERY_MS;
  let last = '';
  return {
    update(done, total) {
      last = `${title}: ${count(done)} of ${count(total)} ${unit}`;
      if (Date.now() < nextMs) return;
      nextMs = Date.now() + PLAIN_EVERY_MS;
      console.error(last);
    },
    end() {
      if (last !== '') console.error(last);
    },
  };
}
