import { runService } from '@millrace/rpc';
import { deltaCommitterConfig, ENV_PREFIX } from './config.ts';
import { createDeltaCommitter } from './index.ts';

await runService('delta-committer', deltaCommitterConfig, ENV_PREFIX, (config) => createDeltaCommitter(config));
