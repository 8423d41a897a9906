import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { systemClock } from '@millrace/base';
import { askStore, createReadAhead, openStore, type ReadAhead } from '@millrace/object-store';
import { SplitService } from '@millrace/proto/metadata_discovery';
import { SegmentReaderService } from '@millrace/proto/segment_reader';
import { connectionCheck, createClient, type RunningService, serve } from '@millrace/rpc';
import { createLogger } from '@millrace/telemetry';
import type { ParquetConverterConfig } from './config.ts';
import { createDecoderCache } from './decoder-cache.ts';
import { startLeaseLoop } from './lease-loop.ts';
import { parquetConverterService } from './service.ts';
import { convertSplit } from './split-conversion.ts';

export { ENV_PREFIX, type ParquetConverterConfig, parquetConverterConfig } from './config.ts';

/**
 * Starts parquet-converter: it pulls splits from metadata-discovery by itself, and answers rewrites. `stop` lets running
 * splits end for `drainMs`, then gives them back.
 */
export async function createParquetConverter(config: ParquetConverterConfig): Promise<RunningService> {
  const name = 'parquet-converter';
  const logger = createLogger(name);
  const splits = createClient(SplitService, config.discoveryAddress, { transport: config });
  const reader = createClient(SegmentReaderService, config.segmentReaderAddress, { transport: config });
  const { chunkBytes, aheadBytes, maxBatchBytes, leaseWaitMs, heartbeatMs, drainMs, retries } = config;
  const logStores = new Map<string, ReadAhead>();
  const ready = [
    connectionCheck('metadata-discovery', config.discoveryAddress, config),
    connectionCheck('segment-reader', config.segmentReaderAddress, config),
  ];
  if (config.logStoreUri !== '') {
    // Batches are copied or decompressed out of a chunk before the next is asked for, so its memory can be used again.
    const store = openStore(config.logStoreUri);
    const readAhead = createReadAhead(store, { chunkBytes, aheadBytes, reuse: true });
    logStores.set(config.logStoreId, readAhead);
    ready.push({ what: `the log store ${store.uri}`, once: true, check: (signal) => askStore(store, signal) });
  }
  const deps = { config, splits, reader, logStores, chunkBytes, maxBatchBytes, decoders: createDecoderCache() };
  const server = await serve({
    name,
    host: config.host,
    port: config.port,
    transport: config,
    maxCalls: config.maxCalls,
    services: [parquetConverterService(config)],
    ready,
  });
  const loops = Array.from({ length: config.concurrency }, (_, i) =>
    startLeaseLoop({
      splits,
      convert: (lease, signal, onEncoded, attempt) => convertSplit(lease, deps, signal, onEncoded, attempt),
      owner: [hostname(), process.pid, i, randomBytes(4).toString('hex')].join('-'),
      waitMs: leaseWaitMs,
      heartbeatMs,
      drainMs,
      retries,
      clock: systemClock,
      logger,
    }),
  );
  return {
    name,
    address: server.address,
    async stop() {
      await Promise.all([server.stop(drainMs), ...loops.map((loop) => loop.stop())]);
      splits.close();
      reader.close();
    },
  };
}
