import { runService } from '@millrace/rpc';
import { ENV_PREFIX, maintenanceConfig } from './config.ts';
import { createMaintenanceScheduler } from './index.ts';

await runService('maintenance-scheduler', maintenanceConfig, ENV_PREFIX, (config) =>
  createMaintenanceScheduler(config),
);
