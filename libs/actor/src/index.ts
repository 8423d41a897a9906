export * from './actor.ts';
export * from './scheduler.ts';
