export * from './log.ts';
export * from './sdk.ts';
export * from './trace.ts';
