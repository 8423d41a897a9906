import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { javaArguments, runJava } from './java.ts';

export interface Broker {
  bootstrap: string;
  /** The folder that LocalTieredStorage writes segments into. */
  tieredDir: string;
  stop(): Promise<void>;
}

/**
 * Starts one Kafka broker (KRaft, 4.4.0) with tiered storage into a folder, all under `dir`. `folder`: the peer "kafka".
 * `tieredRoot`: where the folder "kafka-tiered-storage" is made; `more`: further lines of its server.properties.
 */
export async function startBroker(
  folder: string,
  dir: string,
  { tieredRoot = join(dir, 'tiered'), more = [] as readonly string[] } = {},
): Promise<Broker> {
  const [port, controllerPort] = [await freePort(), await freePort()];
  const bootstrap = `127.0.0.1:${port}`;
  await mkdir(tieredRoot, { recursive: true });
  const properties = join(dir, 'server.properties');
  await writeFile(properties, [serverProperties(dir, tieredRoot, bootstrap, controllerPort), ...more].join('\n'));
  const clusterId = randomBytes(16).toString('base64url').replace(/^-/, 'A');
  await runJava(folder, 'kafka.tools.StorageTool', ['format', '-t', clusterId, '-c', properties]);
  const log = openSync(join(dir, 'broker.log'), 'a');
  const child = spawn('java', javaArguments(folder, 512, 'kafka.Kafka', [properties], 'info'), {
    stdio: ['ignore', log, log],
  });
  await waitForStart(child, join(dir, 'broker.log'));
  return {
    bootstrap,
    tieredDir: join(tieredRoot, 'kafka-tiered-storage'),
    async stop() {
      if (child.exitCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await Promise.race([ended, sleep(20_000)]);
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    },
  };
}

async function waitForStart(child: ChildProcess, logFile: string): Promise<void> {
  for (let tries = 0; tries < 240; tries++) {
    await sleep(250);
    const log = await readFile(logFile, 'utf8');
    if (log.includes('Kafka Server started')) return;
    if (child.exitCode !== null) throw new Error(`the broker ended:\n${log.slice(-3000)}`);
  }
  child.kill('SIGKILL');
  throw new Error(`the broker was not up within a minute:\n${(await readFile(logFile, 'utf8')).slice(-3000)}`);
}

const serverProperties = (dir: string, tieredRoot: string, bootstrap: string, controllerPort: number): string => `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
listeners=PLAINTEXT://${bootstrap},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=PLAINTEXT://${bootstrap}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${join(dir, 'logs')}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.check.interval.ms=2000
log.initial.task.delay.ms=2000
num.network.threads=2
num.io.threads=2
remote.log.storage.system.enable=true
remote.log.manager.task.interval.ms=1000
remote.log.metadata.manager.class.name=org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager
remote.log.metadata.manager.listener.name=PLAINTEXT
rlmm.config.remote.log.metadata.topic.replication.factor=1
rlmm.config.remote.log.metadata.topic.num.partitions=1
remote.log.storage.manager.class.name=org.apache.kafka.server.log.remote.storage.LocalTieredStorage
rsm.config.dir=${tieredRoot}
rsm.config.delete.on.close=false
`;
