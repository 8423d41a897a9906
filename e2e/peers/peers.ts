import { join } from 'node:path';
import { runCommand } from './command.ts';

/**
 * Software that is not ours: Python readers and the oracle, a Kafka broker with its tools, Delta Kernel, a schema
 * registry, Iceberg's own REST catalog, PostgreSQL's programs, servers of S3, Google Cloud Storage and Azure Blob Storage,
 * Spark, Prometheus' checker of rules, helm with Kubernetes' schemas.
 */
export type Peer =
  | 'python'
  | 'kafka'
  | 'delta-kernel'
  | 'registry'
  | 'iceberg-rest'
  | 'postgres'
  | 's3'
  | 'gcs'
  | 'azure'
  | 'spark'
  | 'promtool'
  | 'helm';

/** Of a test's context (vitest): `skip` ends the test. */
export interface SkippableTest {
  skip(reason: string): void;
}

const NEEDS: Record<Peer, [command: string, ...args: string[]][]> = {
  python: [['python3', '-c', 'import venv, ensurepip']],
  kafka: [
    ['javac', '-version'],
    ['mvn', '-v'],
  ],
  'delta-kernel': [
    ['javac', '-version'],
    ['mvn', '-v'],
  ],
  registry: [['mvn', '-v']],
  s3: [['go', 'version']],
  gcs: [['go', 'version']],
  azure: [['npm', '--version']],
  promtool: [['go', 'version']],
  helm: [['python3', '-c', 'import venv, ensurepip']],
  postgres: [],
  spark: [
    ['javac', '-version'],
    ['mvn', '-v'],
  ],
  'iceberg-rest': [
    ['java', '-version'],
    ['mvn', '-v'],
  ],
};

const found = new Map<Peer, Promise<{ folder: string } | { missing: string }>>();

async function find(peer: Peer): Promise<{ folder: string } | { missing: string }> {
  for (const [command, ...args] of NEEDS[peer]) {
    try {
      await runCommand(command, args);
    } catch (error) {
      const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
      return { missing: absent ? command : `${command} that can ${args.join(' ')}` };
    }
  }
  try {
    const { stdout } = await runCommand(join(import.meta.dirname, 'setup.sh'), [peer], { timeoutMs: 580_000 });
    return { folder: stdout.trim().split(' ').slice(1).join(' ') };
  } catch (error) {
    return { missing: `${peer} (its set-up failed: ${(error as Error).message})` };
  }
}

/**
 * Where the peers lie, made ready on first use. When one can't be had, the test is skipped and says "missing: …"; where
 * nothing may be skipped (CI, or MILLRACE_REQUIRE_PEERS=1) it fails instead.
 */
export async function requirePeers<P extends Peer>(context: SkippableTest, ...peers: P[]): Promise<Record<P, string>> {
  const folders: Partial<Record<P, string>> = {};
  for (const peer of peers) {
    if (!found.has(peer)) found.set(peer, find(peer));
    const result = await found.get(peer)!;
    if ('missing' in result) {
      const reason = `missing: ${result.missing}`;
      if (process.env['CI'] === 'true' || process.env['MILLRACE_REQUIRE_PEERS'] === '1') throw new Error(reason);
      context.skip(reason);
    } else {
      folders[peer] = result.folder;
    }
  }
  return folders as Record<P, string>;
}
