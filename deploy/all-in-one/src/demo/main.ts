import { Command } from 'commander';
import { positive } from '../options.ts';
import { createProgress } from '../progress.ts';
import { DEMO_TOPICS, generateDemo } from './generate.ts';

const options = new Command('demo')
  .description(`Makes the topics ${DEMO_TOPICS.map(({ name }) => name).join(', ')} as Kafka's tiered storage has them`)
  .requiredOption('--log <folder>', 'where the segments go')
  .requiredOption('--schemas <folder>', 'where the schemas go')
  .option('--records <n>', 'records of each topic', positive, 100_000)
  .option('--segment-bytes <n>', 'bytes of records in a segment', positive)
  .parse()
  .opts<{ log: string; schemas: string; records: number; segmentBytes?: number }>();

const progress = createProgress('Demo log', 'records');
const { records, segments, kept } = await generateDemo({
  logDir: options.log,
  schemaDir: options.schemas,
  recordsPerTopic: options.records,
  ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
  onProgress: (made) => progress.update(made.records, made.totalRecords),
});
progress.end();
console.log(kept ? `${options.log} holds the demo already` : `${records} records in ${segments} segments`);
