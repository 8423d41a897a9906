import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../peers/command.ts';
import type { SkippableTest } from '../peers/peers.ts';
import { ROOT } from '../system/whole.ts';

/** MILLRACE_TEST_IMAGE tests one that exists instead. */
export const IMAGE = process.env['MILLRACE_TEST_IMAGE'] ?? 'millrace:e2e';
const IMAGE_TIMEOUT_MS = 600_000;

/** `docker` with these arguments; answers with what it prints (also to standard error, when told so). */
export async function docker(...args: (string | { both: true })[]): Promise<string> {
  const both = args.some((arg) => typeof arg !== 'string');
  const words = args.filter((arg) => typeof arg === 'string');
  const { stdout, stderr } = await runCommand('docker', words, { timeoutMs: IMAGE_TIMEOUT_MS });
  return (both ? stdout + stderr : stdout).trim();
}

let engine: Promise<string | undefined> | undefined;

/**
 * An engine that answers, with the images that the compose file names and the product's own, built from the tree. When
 * none answers, the test is skipped and says so; where nothing may be skipped (CI) it fails instead.
 */
export async function requireEngine(context: SkippableTest): Promise<void> {
  engine ??= prepare();
  const missing = await engine;
  if (missing === undefined) return;
  if (process.env['CI'] === 'true' || process.env['MILLRACE_REQUIRE_PEERS'] === '1') throw new Error(missing);
  context.skip(missing);
}

async function prepare(): Promise<string | undefined> {
  const own = join(
    process.env['MILLRACE_PEERS'] ?? join(homedir(), '.cache', 'millrace-peers'),
    'docker',
    'docker.sock',
  );
  // Nothing is started here: an engine outlives a test, so whoever wants one starts it, and ends it.
  const answers = async () =>
    (await runCommand('docker', ['info'], { anyCode: true }).catch(() => undefined))?.code === 0;
  if (process.env['DOCKER_HOST'] === undefined && existsSync(own)) process.env['DOCKER_HOST'] = `unix://${own}`;
  if (!(await answers())) return 'missing: a Docker engine that answers (as root: e2e/peers/docker.sh start)';
  // testcontainers' own helper would be an image to pull.
  process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';
  const { stdout } = await runCommand(join(ROOT, 'e2e', 'peers', 'docker.sh'), ['images'], {
    timeoutMs: IMAGE_TIMEOUT_MS,
  });
  for (const [, name, value] of stdout.matchAll(/^export (\w+)=(.*)$/gm)) process.env[name!] = value;
  if (process.env['MILLRACE_TEST_IMAGE'] !== undefined) return undefined;
  await docker('build', '-q', '-f', join(ROOT, 'deploy', 'Dockerfile'), '-t', IMAGE, ROOT);
  return undefined;
}
