import { copyFileSync, statSync, truncateSync } from 'node:fs';

const LOOK_MS = 5_000;

/**
 * Keeps a log that several processes append to below about `maxBytes`: what is longer becomes `<path>.1`, over the one before.
 * They go on appending to the same file; a line that is written in that moment may be lost. The answer ends the watch.
 */
export function boundLogFile(path: string, maxBytes: number, lookMs = LOOK_MS): () => void {
  const look = () => {
    try {
      if (statSync(path).size <= maxBytes) return;
      copyFileSync(path, `${path}.1`);
      truncateSync(path);
    } catch {
      // No file yet, or a disk that is full: the next look may do it.
    }
  };
  look();
  const timer = setInterval(look, lookMs).unref();
  return () => clearInterval(timer);
}
