import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { MillraceError } from '@millrace/base';
import { type Endpoints, endpointsFile } from '@millrace/cli';

/** Everything that the embedded deployment keeps, under one folder. */
export interface DataFolder {
  root: string;
  /** Segments in Kafka's tiered-storage layout. */
  log: string;
  /** `<subject>/<version>-<id>.avsc` */
  schemas: string;
  /** `<namespace>/<table>` */
  warehouse: string;
  /** The services' databases. */
  state: string;
  logFile: string;
  traceFile: string;
  writeEndpoints(endpoints: Endpoints): void;
  /** Ends the lock; the endpoints file goes. */
  release(): void;
}

/**
 * Takes the folder for this process: the lock is a database that is held exclusively, so it ends with the process, however
 * that ends. `conflict` when another process has it.
 */
export function openDataFolder(path: string): DataFolder {
  const root = resolve(path);
  const folder = (name: string) => {
    const made = join(root, name);
    mkdirSync(made, { recursive: true });
    return made;
  };
  const run = folder('run');
  const lock = new DatabaseSync(join(run, 'lock.db'));
  try {
    lock.exec(
      'PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS held (at text); COMMIT; BEGIN EXCLUSIVE',
    );
  } catch (error) {
    lock.close();
    throw new MillraceError(
      'conflict',
      `${root} is in use by another millrace: stop it, or name another folder in MILLRACE_DATA_DIR`,
      {
        code: 'data-folder-in-use',
        retryable: false,
        cause: error,
      },
    );
  }
  const file = endpointsFile(root);
  return {
    root,
    log: folder('log'),
    schemas: folder('schemas'),
    warehouse: folder('warehouse'),
    state: folder('state'),
    logFile: join(run, 'millrace.log'),
    traceFile: join(run, 'traces.jsonl'),
    writeEndpoints(endpoints) {
      writeFileSync(`${file}.tmp`, JSON.stringify(endpoints, null, 2));
      renameSync(`${file}.tmp`, file);
    },
    release() {
      rmSync(file, { force: true });
      lock.close();
    },
  };
}
