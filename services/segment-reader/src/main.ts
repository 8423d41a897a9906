import { runService } from '@millrace/rpc';
import { ENV_PREFIX, segmentReaderConfig } from './config.ts';
import { createSegmentReader } from './index.ts';

await runService('segment-reader', segmentReaderConfig, ENV_PREFIX, (config) => createSegmentReader(config));
