export * from './certificates.ts';
export * from './clock.ts';
export * from './config.ts';
export * from './errors.ts';
export * from './json.ts';
export * from './names.ts';
export * from './retry.ts';
export * from './turns.ts';
