export * from './key.ts';
export * from './local-store.ts';
export * from './object-store.ts';
export * from './open-store.ts';
export * from './read-ahead.ts';
export * from './s3-store.ts';
