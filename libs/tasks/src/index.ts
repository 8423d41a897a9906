export * from './job-history.ts';
export * from './schedules.ts';
