export { openDataFolder } from './data-folder.ts';
export * from './demo/index.ts';
export { freePorts } from './ports.ts';
export { PROCESS_ARGUMENTS, PROCESS_ENVIRONMENT } from './process-settings.ts';
export {
  type ServiceProcess,
  startServiceProcess,
} from './service-process.ts';
export { asEnvironment, defineServices, type ServiceDefinition } from './services.ts';
