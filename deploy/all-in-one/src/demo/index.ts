export type { DemoTopic } from './demo-topic.ts';
export * from './generate.ts';
