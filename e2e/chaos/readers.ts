import { join } from 'node:path';
import type { TableReport } from '@millrace/cli';
import { expectSameRows } from '../peers/canonical-rows.ts';
import { addressOf } from '../system/equal-tables.ts';
import { type LineProcess, startLineProcess } from './line-process.ts';
import type { Flowed, World } from './world.ts';

/** Software that is not ours, in one process: kafka-python and fastavro read the log, PyIceberg and delta-rs the tables. */
export interface Readers {
  /** Compares both tables of a topic with the log, value by value; the number of rows. Throws at the first difference. */
  compare(topic: string, report: TableReport, catalogUri: string, flowed: Flowed): Promise<number>;
  stop(): Promise<void>;
}

const ANSWERS_MS = 120_000;

export function startReaders(world: World, name: string): Readers {
  const { s3, root } = world;
  const pyiceberg = {
    S3__ENDPOINT: s3.endpoint,
    S3__REGION: s3.env['AWS_REGION']!,
    S3__ACCESS_KEY_ID: s3.env['AWS_ACCESS_KEY_ID']!,
    S3__SECRET_ACCESS_KEY: s3.env['AWS_SECRET_ACCESS_KEY']!,
  };
  const python: LineProcess = startLineProcess({
    command: join(world.python, 'bin', 'python'),
    args: [join(import.meta.dirname, '..', 'peers', 'python', 'serve.py')],
    env: {
      ...s3.env,
      ...{ PYTHONDONTWRITEBYTECODE: '1', AWS_ENDPOINT_URL: s3.endpoint, AWS_ALLOW_HTTP: 'true' },
      ...Object.fromEntries(
        Object.entries(pyiceberg).map(([key, value]) => [`PYICEBERG_CATALOG__MILLRACE__${key}`, value]),
      ),
    },
    logFile: join(root, 'logs', `${name}-readers.log`),
    timeoutMs: ANSWERS_MS,
  });
  async function run<T>(...words: string[]): Promise<T> {
    const { answer, error } = await python.ask<{ answer: T; error?: string }>(JSON.stringify(words));
    if (error !== undefined) throw new Error(`${words.join(' ')}:\n${error}`);
    return answer;
  }
  return {
    async compare(topic, report, catalogUri, flowed) {
      const out = (what: string) => join(root, `${topic}.${what}.jsonl`);
      const expected = out('expected');
      const { rows, ends } = await run<Flowed>(
        ...['oracle.py', '--log', world.tieredDir, '--schemas', world.schemaDir, '--topic', topic, '--out', expected],
      );
      // The producer and the reader of the log agree, or the test itself is wrong. A last marker may come late.
      const missing = Object.entries(flowed.ends).some(([partition, end]) => (ends[partition] ?? 0) < end);
      if (rows !== flowed.rows || missing)
        throw new Error(
          `${topic}: the producer committed ${flowed.rows} rows up to ${JSON.stringify(flowed.ends)}, the log shows ${rows} up to ${JSON.stringify(ends)}`,
        );
      const { namespace, name: table, location } = addressOf(report, catalogUri);
      await run('read_pyiceberg.py', catalogUri, `${namespace}.${table}`, out('iceberg'));
      await expectSameRows(`${topic} read by PyIceberg`, expected, out('iceberg'));
      await run('read_deltalake.py', location, out('delta'));
      await expectSameRows(`${topic} read by deltalake`, expected, out('delta'));
      return rows;
    },
    stop: () => python.stop(),
  };
}
