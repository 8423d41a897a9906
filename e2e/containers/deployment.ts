import { join } from 'node:path';
import { SERVICE_NAMES, type ServiceName } from '@millrace/cli';
import { DockerComposeEnvironment, type StartedDockerComposeEnvironment, Wait } from 'testcontainers';
import { runCommand } from '../peers/command.ts';
import { freePort } from '../peers/free-port.ts';
import { ROOT } from '../system/whole.ts';
import { docker, IMAGE } from './engine.ts';

const FOLDER = join(ROOT, 'deploy');
const FILES = ['compose.yaml', '../e2e/containers/compose.yaml'];
const START_MS = 240_000;
/** What a service logs when it is ready. */
export const READY = /"msg":"ready"/;

export const SERVICES = SERVICE_NAMES;
export type Service = ServiceName;

/** deploy/compose.yaml as it is, under a name of its own, with the test's settings over it. */
export interface Deployment {
  catalogUri: string;
  s3Endpoint: string;
  /** `docker compose` on this deployment; answers with what it prints. */
  compose(...args: string[]): Promise<string>;
  /** The command line, in a container of its own; its exit code must be 0. */
  millrace(...args: string[]): Promise<string>;
  /** One SQL statement; rows of tab-separated values. */
  sql(statement: string): Promise<string[]>;
  /** Ids of the service's running containers, the oldest first. */
  containers(service: Service): Promise<string[]>;
  /** Log lines of the service's containers since then. */
  logs(service: Service, since?: Date): Promise<string>;
  /** What one of its files holds. */
  file(service: string, path: string): Promise<string>;
  network: string;
  /** The demo's log and schemas, into folders of this machine. */
  copyDemo(logDir: string, schemaDir: string): Promise<void>;
  remove(): Promise<void>;
}

/** Starts all of it with a demo log of `records` a topic; answers when every service says that it is ready. */
export async function startDeployment(options: { records: number; segmentBytes: number }): Promise<Deployment> {
  const project = `millrace-e2e-${process.pid}`;
  const [catalogPort, s3Port] = [await freePort(), await freePort()];
  const env = {
    COMPOSE_PROJECT_NAME: project,
    MILLRACE_IMAGE: IMAGE,
    MILLRACE_CATALOG_PORT: String(catalogPort),
    MILLRACE_CATALOG_URI: `https://127.0.0.1:${catalogPort}`,
    MILLRACE_S3_PORT: String(s3Port),
    MILLRACE_COMMIT_INTERVAL_MS: '1000',
  };
  const compose = async (...args: string[]) => {
    const files = FILES.flatMap((file) => ['-f', join(FOLDER, file)]);
    return (await runCommand('docker', ['compose', ...files, ...args], { env, timeoutMs: START_MS })).stdout.trim();
  };
  let started: StartedDockerComposeEnvironment | undefined;
  const remove = async () => {
    await compose('--profile', 'tools', 'down', '--volumes', '--timeout', '20', '--remove-orphans');
    started = undefined;
  };
  try {
    const demo = ['--records', String(options.records), '--segment-bytes', String(options.segmentBytes)];
    await compose('run', '--rm', 'demo', ...demo);
    const environment = new DockerComposeEnvironment(FOLDER, FILES)
      .withProjectName(project)
      .withEnvironment(env)
      .withAutoCleanup(false)
      .withDefaultWaitStrategy(Wait.forHealthCheck())
      // It has no health check: its image holds nothing but the collector.
      .withWaitStrategy('collector-1', Wait.forLogMessage(/Everything is ready/))
      .withStartupTimeout(START_MS);
    for (const service of SERVICES) environment.withWaitStrategy(`${service}-1`, Wait.forLogMessage(READY));
    started = await environment.up();
    await compose('run', '--detach', '--name', `${project}-cli`, '--entrypoint', 'sleep', 'millrace', 'infinity');
  } catch (error) {
    const logs = await compose('logs', '--no-color', '--tail', '20').catch(() => '');
    await remove().catch(() => {});
    throw new Error(`${(error as Error).message}\n${logs.slice(-6000)}`);
  }
  const postgres = started.getContainer('postgres-1');
  const containers = async (service: Service) => {
    const filter = (label: string, value: string) => ['--filter', `label=com.docker.compose.${label}=${value}`];
    const ids = await docker('ps', '-q', '--no-trunc', ...filter('project', project), ...filter('service', service));
    return ids
      .split('\n')
      .filter((id) => id !== '')
      .reverse();
  };
  return {
    catalogUri: env.MILLRACE_CATALOG_URI,
    s3Endpoint: `http://127.0.0.1:${s3Port}`,
    network: `${project}_services`,
    compose,
    containers,
    remove,
    millrace: (...args) => docker('exec', `${project}-cli`, 'millrace-container', 'millrace', ...args),
    async sql(statement) {
      const ask = ['psql', '-h', '127.0.0.1', '-U', 'millrace', '-d', 'millrace', '-AtF', '\t', '-c', statement];
      const command = ['sh', '-c', 'PGPASSWORD=$(cat /run/millrace/postgres-password) exec "$@"', 'sh', ...ask];
      const { output, exitCode } = await postgres.exec(command);
      if (exitCode !== 0) throw new Error(`${statement}: ${output}`);
      return output.split('\n').filter((line) => line !== '');
    },
    async logs(service, since) {
      const from = since === undefined ? [] : ['--since', since.toISOString()];
      return compose('logs', '--no-color', '--no-log-prefix', ...from, service);
    },
    async copyDemo(logDir, schemaDir) {
      const [id] = await containers('metadata-discovery');
      await docker('cp', `${id}:/log/.`, logDir);
      await docker('cp', `${id}:/schemas/.`, schemaDir);
    },
    file: (service, path) => compose('exec', '-T', service, 'cat', path),
  };
}
