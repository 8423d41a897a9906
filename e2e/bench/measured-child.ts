import { createInterface } from 'node:readline';
import { createMeasured, type Job } from './measured/job.ts';

// A process that measures one job, whose JSON is the argument: it makes ready, then runs a round for each line that
// comes and answers with a line of JSON.

const run = await createMeasured(JSON.parse(process.argv[2]!) as Job);
console.log('{"ready":true}');
for await (const _ of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run()));
}
process.exit();
