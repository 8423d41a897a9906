import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { javaArguments } from './java.ts';
import { startServerProcess } from './server-process.ts';

/** Starts Iceberg's own REST catalog server over a JDBC catalog in SQLite, all under `dir`. `folder`: the peer "iceberg-rest". */
export async function startIcebergRest(
  folder: string,
  dir: string,
): Promise<{ uri: string; stop: () => Promise<void> }> {
  const port = await freePort();
  const uri = `http://127.0.0.1:${port}`;
  const stop = await startServerProcess({
    command: 'java',
    args: javaArguments(folder, 384, 'org.apache.iceberg.rest.RESTCatalogServer', []),
    env: {
      CATALOG_REST_PORT: String(port),
      CATALOG_URI: `jdbc:sqlite:${join(dir, 'iceberg-rest.db')}`,
      CATALOG_WAREHOUSE: `file://${join(dir, 'iceberg-rest')}`,
      CATALOG_JDBC_SCHEMA__VERSION: 'V1',
      CATALOG_JDBC_STRICT__MODE: 'true',
    },
    logFile: join(dir, 'iceberg-rest.log'),
    url: `${uri}/v1/config`,
  });
  return { uri, stop };
}
