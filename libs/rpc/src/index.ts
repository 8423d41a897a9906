export type { CallContext, CallOptions, Client, Implementation } from './adapter.ts';
export * from './client.ts';
export { connectionCheck, type ReadinessCheck } from './readiness.ts';
export * from './running-service.ts';
export * from './server.ts';
export { detailToError, errorToDetail, httpStatusOf } from './status.ts';
