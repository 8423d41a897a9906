import { askStore, type ObjectStore, openStore } from '@millrace/object-store';
import { type RunningService, serve } from '@millrace/rpc';
import type { SegmentReaderConfig } from './config.ts';
import { segmentReaderService } from './service.ts';

export { ENV_PREFIX, type SegmentReaderConfig, segmentReaderConfig } from './config.ts';

/** Starts segment-reader. `stop` lets running reads end for `drainMs`. */
export async function createSegmentReader(
  config: SegmentReaderConfig,
  deps: { logStore?: ObjectStore } = {},
): Promise<RunningService> {
  const name = 'segment-reader';
  const store = deps.logStore ?? openStore(config.logStoreUri);
  const server = await serve({
    name,
    host: config.host,
    port: config.port,
    transport: config,
    maxCalls: config.maxCalls,
    services: [segmentReaderService(config, store)],
    ready: [{ what: `the log store ${store.uri}`, once: true, check: (signal) => askStore(store, signal) }],
  });
  return { name, address: server.address, stop: () => server.stop(config.drainMs) };
}
