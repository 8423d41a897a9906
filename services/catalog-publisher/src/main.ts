import { runService } from '@millrace/rpc';
import { ENV_PREFIX, publisherConfig } from './config.ts';
import { createCatalogPublisher } from './index.ts';

await runService('catalog-publisher', publisherConfig, ENV_PREFIX, (config) => createCatalogPublisher(config));
