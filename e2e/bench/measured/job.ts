import { type ConversionJob, createConversion } from './conversion.ts';
import { createDecoding, type DecodingJob } from './decoding.ts';
import { createObjectDecoding, type ObjectDecodingJob } from './object-decoding.ts';
import { createParquetjs, type ParquetjsJob } from './parquetjs.ts';
import { createReading, type ReadingJob } from './reading.ts';
import { createRewriting, type RewritingJob } from './rewriting.ts';
import type { Round } from './round.ts';
import { createScanning, type ScanningJob } from './scanning.ts';

/** What a child process measures. */
export type Job =
  | ConversionJob
  | DecodingJob
  | ObjectDecodingJob
  | ParquetjsJob
  | ReadingJob
  | RewritingJob
  | ScanningJob;

/** Makes ready; what comes back runs one round. */
export async function createMeasured(job: Job): Promise<() => Promise<Round>> {
  switch (job.kind) {
    case 'conversion':
      return createConversion(job);
    case 'decoding':
      return createDecoding(job);
    case 'object-decoding':
      return createObjectDecoding(job);
    case 'parquetjs':
      return createParquetjs(job);
    case 'reading':
      return createReading(job);
    case 'rewriting':
      return createRewriting(job);
    case 'scanning':
      return createScanning(job);
  }
}
