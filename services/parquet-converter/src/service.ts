import { MillraceError } from '@millrace/base';
import { ParquetConverterService } from '@millrace/proto/parquet_converter';
import { implement } from '@millrace/rpc';
import type { ParquetConverterConfig } from './config.ts';
import { rewriteFiles } from './rewrite.ts';

/** proto ↔ rewrites; at most `maxConcurrentRewrites` at a time, so that memory is bounded. */
export function parquetConverterService(config: ParquetConverterConfig) {
  let running = 0;
  return implement(ParquetConverterService, {
    async rewriteFiles(request, call) {
      if (running >= config.maxConcurrentRewrites) {
        const message = `${running} rewrites are under way (maxConcurrentRewrites): try again`;
        throw new MillraceError('exhausted', message, { code: 'too-many-rewrites' });
      }
      running++;
      try {
        return { files: await rewriteFiles(request, config, call.signal) };
      } finally {
        running--;
      }
    },
  });
}
