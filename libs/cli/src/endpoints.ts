import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '@millrace/base';
import { z } from 'zod';

export const SERVICE_NAMES = [
  'metadata-discovery',
  'segment-reader',
  'parquet-converter',
  'iceberg-rest-catalog',
  'delta-committer',
  'catalog-publisher',
  'maintenance-scheduler',
] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** What `npm start` writes to `<data dir>/run/endpoints.json`. */
export const endpointsSchema = z.object({
  pid: z.number().int(),
  /** Of the first replica of iceberg-rest-catalog; all of them. */
  catalogUri: z.string(),
  catalogUris: z.array(z.string()).optional(),
  warehouseUri: z.string(),
  /** "host:port" of each service; several replicas are comma-separated. */
  services: z.record(z.string(), z.string()),
  /** Prometheus' endpoints, one a process. */
  metricsUris: z.array(z.string()).optional(),
  /** Process ids of the services that have a process of their own. */
  pids: z.record(z.string(), z.array(z.number().int())),
});
export type Endpoints = z.infer<typeof endpointsSchema>;

export const endpointsFile = (dataDir: string): string => join(dataDir, 'run', 'endpoints.json');

export const dataDirOf = (given: string | undefined): string => given ?? process.env['MILLRACE_DATA_DIR'] ?? './data';

/** Reads an endpoints file; undefined when there is none. */
export function readEndpoints(file: string): Endpoints | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return endpointsSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new MillraceError('invalid', `${file} is not an endpoints file: ${(error as Error).message}`, {
      code: 'endpoints-invalid',
    });
  }
}

/** Whether the process that wrote the file still runs. */
export function isRunning(endpoints: Endpoints): boolean {
  try {
    process.kill(endpoints.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
