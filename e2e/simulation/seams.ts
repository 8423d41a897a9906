import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

// Where the simulation takes the place of the outside: sockets, disks, and the CPU work of Parquet. Each of these modules
// of the product is replaced, while Node.js loads it, by one that exports the same functions from the simulation. All else
// runs as it is.

interface Seam {
  module: string;
  /** The functions whose place the simulation takes; all other exports of the module stay. */
  functions: string[];
}

const SEAMS: Seam[] = [
  { module: 'libs/rpc/src/client.ts', functions: ['createClient'] },
  { module: 'libs/rpc/src/server.ts', functions: ['implement', 'serve'] },
  { module: 'libs/object-store/src/open-store.ts', functions: ['openStore'] },
  { module: 'libs/database/src/sqlite-dialect.ts', functions: ['sqliteDialect'] },
  { module: 'services/iceberg-rest-catalog/src/rest-server.ts', functions: ['startRest'] },
  { module: 'services/parquet-converter/src/split-conversion.ts', functions: ['convertSplit'] },
  { module: 'services/parquet-converter/src/rewrite.ts', functions: ['rewriteFiles'] },
];

const ROOT = join(import.meta.dirname, '../..');
const KEY = 'millrace.simulation';

/** What the simulation puts in: by the function's name; `real` is the product's own. */
export type Replacements = Record<string, (real: unknown) => unknown>;

/** Must be called before the product is imported. */
export function openSeams(replacements: Replacements): void {
  (globalThis as Record<symbol, unknown>)[Symbol.for(KEY)] = replacements;
  const byUrl = new Map(SEAMS.map((seam) => [pathToFileURL(join(ROOT, seam.module)).href, seam]));
  registerHooks({
    load(url, context, nextLoad) {
      const seam = byUrl.get(url);
      if (seam === undefined) return nextLoad(url, context);
      const lines = seam.functions.map(
        (name) => `export const ${name} = (...all) => globalThis[Symbol.for('${KEY}')].${name}(real.${name})(...all);`,
      );
      const source = `import * as real from '${url}?real';\nexport * from '${url}?real';\n${lines.join('\n')}\n`;
      return { format: 'module', source, shortCircuit: true };
    },
  });
}
