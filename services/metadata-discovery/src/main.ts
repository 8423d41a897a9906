import { runService } from '@millrace/rpc';
import { ENV_PREFIX, metadataDiscoveryConfig } from './config.ts';
import { createMetadataDiscovery } from './index.ts';

await runService('metadata-discovery', metadataDiscoveryConfig, ENV_PREFIX, (config) =>
  createMetadataDiscovery(config),
);
