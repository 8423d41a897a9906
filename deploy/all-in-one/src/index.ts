export * from './demo/index.ts';
export { PROCESS_ARGUMENTS, PROCESS_ENVIRONMENT } from './service-process.ts';
