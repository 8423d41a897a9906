import { runService } from '@millrace/rpc';
import { ENV_PREFIX, parquetConverterConfig } from './config.ts';
import { createParquetConverter } from './index.ts';

await runService('parquet-converter', parquetConverterConfig, ENV_PREFIX, createParquetConverter);
