import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { openSession } from '@millrace/cli';

/** Every file under the table's data/, relative to the table. */
export async function storedDataFiles(location: string): Promise<string[]> {
  const entries = await readdir(join(location, 'data'), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(location, join(entry.parentPath, entry.name)))
    .sort();
}

/** The paths that are live in the ledger's newest version. */
export async function liveDataFiles(dataDir: string, namespace: string, name: string): Promise<string[]> {
  const session = openSession({ dataDir });
  try {
    const paths: string[] = [];
    let version = 0n;
    for (let pageToken = '', first = true; first || pageToken !== ''; first = false) {
      const page = await session
        .ledger()
        .listFiles({ table: { namespace, name }, version, pageToken, withoutColumns: true });
      paths.push(...page.files.map(({ path }) => path));
      version = page.version;
      pageToken = page.nextPageToken;
    }
    return paths.sort();
  } finally {
    session.close();
  }
}
