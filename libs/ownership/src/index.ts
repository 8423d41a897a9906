export * from './owner-config.ts';
export * from './owner-migration.ts';
export * from './owner-store.ts';
export * from './ownership.ts';
