import { count } from '@millrace/cli';
import { Presets, SingleBar } from 'cli-progress';

/** One bar at a time on a terminal; elsewhere a line now and then, and one at the end. */
export interface Progress {
  start(title: string, total: number, unit: string): void;
  update(done: number): void;
  end(): void;
}

const PLAIN_EVERY_MS = 10_000;

export function createProgress(): Progress {
  const tty = process.stderr.isTTY === true;
  let bar: SingleBar | undefined;
  let line = { title: '', total: 0, unit: '', done: 0, beganMs: 0, nextMs: 0 };
  const tell = (): void =>
    console.error(
      `${new Date().toTimeString().slice(0, 8)} ${line.title}: ${count(line.done)} of ${count(line.total)} ${line.unit} · ${((Date.now() - line.beganMs) / 1000).toFixed(0)} s`,
    );
  return {
    start(title, total, unit) {
      line = { title, total, unit, done: 0, beganMs: Date.now(), nextMs: Date.now() + PLAIN_EVERY_MS };
      if (!tty) return;
      bar = new SingleBar(
        { format: `${title.padEnd(10)} {bar} {percentage}% · {value}/{total} ${unit} · {duration_formatted}` },
        Presets.shades_classic,
      );
      bar.start(total, 0);
    },
    update(done) {
      line.done = done;
      bar?.update(done);
      if (tty || Date.now() < line.nextMs) return;
      line.nextMs = Date.now() + PLAIN_EVERY_MS;
      tell();
    },
    end() {
      bar?.stop();
      bar = undefined;
      if (!tty) tell();
    },
  };
}
