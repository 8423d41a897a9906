export * from './database.ts';
export * from './migrations.ts';
export type { Signals } from './signals.ts';
export * from './transaction.ts';
