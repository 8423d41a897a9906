#!/usr/bin/env node
// Node 24 runs the TypeScript as it is; under an older Node the one from node_modules takes over.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import('../src/main.ts');
} else {
  let folder = dirname(main);
  while (!existsSync(join(folder, 'node_modules/.bin/node')) && folder !== dirname(folder)) folder = dirname(folder);
  const node = join(folder, 'node_modules/.bin/node');
  if (!existsSync(node)) {
    console.error('millrace needs Node.js 24 or newer: run `npm ci` in its folder, which brings one');
    process.exit(1);
  }
  const { status } = spawnSync(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  process.exit(status ?? 1);
}
