import { runService } from '@millrace/rpc';
import { ENV_PREFIX, icebergCatalogConfig } from './config.ts';
import { createIcebergRestCatalog } from './index.ts';

await runService('iceberg-rest-catalog', icebergCatalogConfig, ENV_PREFIX, (config) =>
  createIcebergRestCatalog(config),
);
