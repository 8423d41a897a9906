import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';

// The rungs: a package imports only from rungs above its own (smaller number), and never a sibling of its rung.
const RUNGS: string[][] = [
  ['proto', 'base'],
  ['telemetry', 'object-store', 'database', 'kafka-log', 'schema'],
  ['actor', 'columns', 'rpc'],
  ['parquet', 'tasks', 'ownership'],
  ['ledger', 'iceberg', 'delta'],
  ['catalogs'],
  [
    'metadata-discovery',
    'segment-reader',
    'parquet-converter',
    'iceberg-rest-catalog',
    'delta-committer',
    'catalog-publisher',
    'maintenance-scheduler',
    'cli',
  ],
  ['all-in-one'],
  ['e2e'],
];

const root = join(import.meta.dirname, '..');
const rungOf = new Map<string, number>(
  RUNGS.flatMap((names, rung) => names.map((name) => [`@millrace/${name}`, rung] as const)),
);
const folders = ['proto', 'deploy/all-in-one', 'e2e', ...['libs', 'services'].flatMap((f) => subfolders(f))];

function subfolders(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${folder}/${entry.name}`);
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) return [];
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? sources(path) : path.endsWith('.ts') ? [path] : [];
  });
}

const manifest = (folder: string) => JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));

test('every package stands on a rung', () => {
  const names = folders.map((folder) => manifest(folder).name);
  expect(names.sort()).toEqual([...rungOf.keys()].sort());
});

test.each(folders)('%s carries its rung as a tag, for the project graph', (folder) => {
  const { name, nx } = manifest(folder);
  expect(nx).toEqual({ tags: [`rung:${rungOf.get(name)! + 1}`] });
});

test.each(folders)('%s depends only on rungs above its own', (folder) => {
  const { name, dependencies = {} } = manifest(folder);
  const wrong = Object.keys(dependencies).filter((dep) => rungOf.has(dep) && rungOf.get(dep)! >= rungOf.get(name)!);
  expect(wrong).toEqual([]);
});

test.each(folders)('%s imports only what its package.json names, never another package by path', (folder) => {
  const { name, dependencies = {}, devDependencies = {} } = manifest(folder);
  const wrong: string[] = [];
  for (const file of sources(folder)) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, specifier] of text.matchAll(
      /^\s*(?:import|export)\b[^'"]*?from\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]/gm,
    )) {
      if (specifier === undefined) continue;
      if (specifier.startsWith('.')) {
        const target = relative(root, join(root, file, '..', specifier));
        if (!target.startsWith(folder + '/')) wrong.push(`${file}: ${specifier}`);
      } else if (specifier.startsWith('@millrace/')) {
        const target = specifier.split('/').slice(0, 2).join('/');
        const inTest = file.includes('.test.') && target in devDependencies;
        if (target !== name && !(target in dependencies) && !inTest) wrong.push(`${file}: ${specifier}`);
      } else if (!specifier.startsWith('node:')) {
        const target = specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/');
        const dev = { ...manifest('.').devDependencies, ...devDependencies };
        if (!(target in dependencies) && !(file.includes('.test.') && target in dev))
          wrong.push(`${file}: ${specifier}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test('no source file holds more than one noun: 350 lines at the most', () => {
  const long = folders
    .flatMap((folder) => sources(folder))
    .filter((file) => !file.includes('/gen/') && !file.endsWith('.test.ts'))
    .filter((file) => statSync(join(root, file)).size > 0)
    .map((file) => [readFileSync(join(root, file), 'utf8').split('\n').length, file] as const)
    .filter(([lines]) => lines > 350);
  expect(long).toEqual([]);
});
