export * from './catalog-adapter.ts';
export * from './iceberg-rest.ts';
export * from './open-catalog.ts';
export * from './token-source.ts';
