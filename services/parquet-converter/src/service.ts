import { MillraceError } from '@millrace/base';
import { ParquetConverterService } from '@millrace/proto/parquet_converter';
import { implement } from '@millrace/rpc';
import { count, observe, record } from '@millrace/telemetry';
import type { ParquetConverterConfig } from './config.ts';
import { rewriteFiles } from './rewrite.ts';

/** proto ↔ rewrites; at most `maxConcurrentRewrites` at a time, so that memory is bounded. */
export function parquetConverterService(config: ParquetConverterConfig) {
  let running = 0;
  observe(['millrace.rewrite.active'], (report) => report('millrace.rewrite.active', running));
  return implement(ParquetConverterService, {
    async rewriteFiles(request, call) {
      if (running >= config.maxConcurrentRewrites) {
        const message = `${running} rewrites are under way (maxConcurrentRewrites): try again`;
        throw new MillraceError('exhausted', message, { code: 'too-many-rewrites' });
      }
      running++;
      const startedMs = performance.now();
      let outcome = 'error';
      try {
        const files = await rewriteFiles(request, config, call.signal);
        outcome = 'ok';
        count(
          'millrace.rewrite.records',
          files.reduce((sum, file) => sum + Number(file.recordCount), 0),
        );
        return { files };
      } finally {
        running--;
        record('millrace.rewrite.duration', (performance.now() - startedMs) / 1e3, { 'millrace.outcome': outcome });
      }
    },
  });
}
