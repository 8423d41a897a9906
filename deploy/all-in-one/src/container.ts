import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { COMPILE_CACHE } from './compile-cache.ts';
import { PROCESS_ARGUMENTS, PROCESS_ENVIRONMENT } from './process-settings.ts';
import { isService, SERVICE_PORTS } from './service-ports.ts';

// The image's entry point. What its command names takes this process over, so signals reach it, and its flags and memory
// settings are those of service-process.ts, which an image's own environment could only repeat.

const [command = '', ...args] = process.argv.slice(2);
const root = join(import.meta.dirname, '..', '..', '..');

/** Never returns. */
function become(main: string, environment: Record<string, string> = {}): void {
  const environ = { ...process.env, ...PROCESS_ENVIRONMENT, ...environment } as Record<string, string>;
  process.execve!(process.execPath, [process.execPath, ...PROCESS_ARGUMENTS, join(root, main), ...args], environ);
}

const dataDir = { MILLRACE_DATA_DIR: process.env['MILLRACE_DATA_DIR'] ?? '/data' };

if (isService(command)) become(`services/${command}/src/main.ts`);
else if (command === 'millrace') become('libs/cli/src/main.ts', dataDir);
else if (command === 'all-in-one') become('deploy/all-in-one/src/start.ts', dataDir);
else if (command === 'demo') become('deploy/all-in-one/src/demo/main.ts');
else if (command === 'health') {
  // Asked every few seconds: it loads no more than it needs.
  enableCompileCache(COMPILE_CACHE);
  const { healthOf } = await import('./container-health.ts');
  const { line, serving } = await healthOf(args);
  console.log(line);
  process.exitCode = serving ? 0 : 1;
} else {
  const known = [...Object.keys(SERVICE_PORTS), 'millrace', 'all-in-one', 'demo', 'health'].join(', ');
  console.error(command === '' ? `name a command: ${known}` : `no such command: ${command}; there are ${known}`);
  process.exitCode = 2;
}
