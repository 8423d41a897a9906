import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsePartitionFolder } from '@millrace/kafka-log';
import { startBroker } from '../peers/broker.ts';
import { runCommand } from '../peers/command.ts';
import { javaArguments } from '../peers/java.ts';
import { requirePeers, type SkippableTest } from '../peers/peers.ts';
import { type PostgresServer, startPostgres } from '../peers/postgres.ts';
import { type S3Server, startS3 } from '../peers/s3.ts';
import { type FaultProxy, startFaultProxy } from '../system/fault-proxy.ts';
import { startTcpProxy, type TcpProxy } from '../system/tcp-proxy.ts';
import { startLineProcess } from './line-process.ts';
import { mountSmallDisk, type SmallDisk } from './small-disk.ts';

/** What a topic holds in tiered storage. */
export interface Flowed {
  /** Committed records, as the producer counted them. */
  rows: number;
  /** One past the last tiered offset of each partition. */
  ends: Record<string, number>;
}

/** Everything around Millrace: real servers, and what makes them fail. */
export interface World {
  root: string;
  schemaDir: string;
  /** What LocalTieredStorage of the broker has written; the same objects are the S3 server's bucket TIERED_BUCKET. */
  tieredDir: string;
  /** The warehouse bucket's folder. */
  bucketDir: string;
  python: string;
  s3: S3Server;
  storeProxy: FaultProxy;
  postgres: PostgresServer;
  databaseProxy: TcpProxy;
  /** A database of its own, as services reach it: through the proxy, without the password. */
  createDatabase(name: string): Promise<string>;
  dropDatabase(name: string): Promise<void>;
  databasePassword: string;
  /** Undefined where nothing may be mounted. */
  disks: { store: SmallDisk; database: SmallDisk; embedded: SmallDisk } | undefined;
  whyNoDisks: string;
  /** Where the embedded state and warehouse lie. */
  embeddedDir: string;
  /** Makes transactional records flow and waits until they are tiered. */
  flow(options: { millis: number; records: number; seed: number; topics: Record<string, number> }): Promise<Flowed[]>;
  /** Ends topics, and what of them is tiered. */
  forget(topics: readonly string[]): Promise<void>;
  stop(options: { keep: boolean }): Promise<void>;
}

export const TIERED_BUCKET = 'kafka-tiered-storage';
const FLOW_TIMEOUT_MS = 150_000;

/** Starts the broker with its producers, PostgreSQL, the S3 server, proxies and small disks, all under one folder. */
export async function startWorld(context: SkippableTest, seed: number): Promise<World> {
  const peers = await requirePeers(context, 'kafka', 's3', 'postgres', 'python');
  const root = await mkdtemp(join(tmpdir(), 'millrace-chaos-'));
  // PostgreSQL's user must get through.
  await chmod(root, 0o711);
  const ends: (() => Promise<unknown>)[] = [];
  const stop = async ({ keep }: { keep: boolean }) => {
    for (const end of ends.splice(0).reverse()) await end().catch((error) => console.error(String(error)));
    if (!keep) await rm(root, { recursive: true, force: true });
  };
  try {
    const folder = async (...names: string[]) => {
      const made = join(root, ...names);
      await mkdir(made, { recursive: true });
      return made;
    };
    const [schemaDir, brokerDir, s3Dir] = [await folder('schemas'), await folder('broker'), await folder('s3')];
    const objects = await folder('s3', 'objects');
    const bucketDir = await folder('s3', 'objects', 'lake');
    const [databaseDir, embeddedDir] = [await folder('postgres'), await folder('embedded')];
    const mounted: SmallDisk[] = [];
    let whyNoDisks = '';
    try {
      for (const place of [bucketDir, databaseDir, embeddedDir]) {
        const disk = await mountSmallDisk(place);
        mounted.push(disk);
        ends.push(() => disk.unmount());
      }
    } catch (error) {
      whyNoDisks = (error as Error).message.trim().split('\n').at(-1)!;
    }
    const [store, database, embedded] = mounted;

    const broker = await startBroker(peers.kafka, brokerDir, { tieredRoot: objects, more: QUICK_TIERING });
    ends.push(() => broker.stop());
    const producers = startLineProcess({
      command: 'java',
      args: javaArguments(peers.kafka, 256, 'Flow', [broker.bootstrap, schemaDir]),
      logFile: join(root, 'producers.log'),
      timeoutMs: FLOW_TIMEOUT_MS,
    });
    ends.push(() => producers.stop());
    const s3 = await startS3(peers.s3, s3Dir);
    ends.push(() => s3.stop());
    // For the command line, which is not what fails.
    Object.assign(process.env, s3.env, { AWS_ENDPOINT_URL_S3: s3.endpoint });
    const storeProxy = await startFaultProxy(Number(new URL(s3.endpoint).port), seed);
    ends.push(() => storeProxy.stop());
    const postgres = await startPostgres(peers.postgres, databaseDir);
    ends.push(() => postgres.remove());
    const url = new URL(postgres.url);
    const databasePassword = decodeURIComponent(url.password);
    const databaseProxy = await startTcpProxy(Number(url.port));
    ends.push(() => databaseProxy.refuse());
    const direct = url.href;
    url.password = '';
    url.port = String(databaseProxy.port);
    const psql = (statement: string) => runCommand(join(peers.postgres, 'psql'), ['-q', '-c', statement, direct]);
    return {
      ...{ root, schemaDir, tieredDir: broker.tieredDir, bucketDir, python: peers.python, s3, storeProxy },
      ...{ postgres, databaseProxy, databasePassword, embeddedDir, whyNoDisks, stop },
      async createDatabase(name) {
        await psql(`CREATE DATABASE ${name}`);
        return Object.assign(new URL(url), { pathname: `/${name}` }).href;
      },
      dropDatabase: async (name) => void (await psql(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)),
      disks:
        store === undefined || database === undefined || embedded === undefined
          ? undefined
          : { store, database, embedded },
      async flow({ millis, records, seed: flowSeed, topics }) {
        const names = Object.keys(topics);
        const words = [millis, records, flowSeed, ...names.map((name) => `${name}:${topics[name]}`)];
        const flowed = await producers.ask<Record<string, Flowed>>(words.join(' '));
        return names.map((name) => flowed[name]!);
      },
      async forget(topics) {
        await producers.ask(['delete', ...topics].join(' '));
        for (const folder of await readdir(broker.tieredDir)) {
          if (topics.includes(parsePartitionFolder(folder)?.topic ?? ''))
            await rm(join(broker.tieredDir, folder), { recursive: true, force: true });
        }
      },
    };
  } catch (error) {
    await stop({ keep: false });
    throw error;
  }
}

/** What a segment is worth is tiered a moment after it has rolled, instead of half a minute. */
const QUICK_TIERING = ['remote.log.manager.task.interval.ms=200', 'log.initial.task.delay.ms=500'];
