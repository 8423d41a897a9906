import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { batchSizeAt, createRecordIndex, type RecordIndex } from '@millrace/kafka-log';
import { parquetConverterConfig } from '@millrace/parquet-converter';

/** What parquet-converter reads, and decodes, at a time. */
const { chunkBytes: CHUNK_BYTES, batchBytes: DECODE_BYTES } = parquetConverterConfig.parse({});

/** The record batches of a partition's folder, read in chunks into one buffer; a batch is valid until the next. */
function* readBatches(folder: string): Generator<{ bytes: Uint8Array; position: number; segment: string }> {
  let buffer = Buffer.alloc(CHUNK_BYTES);
  const segments = readdirSync(folder).filter((name) => name.endsWith('.log'));
  for (const segment of segments.sort()) {
    const file = openSync(join(folder, segment), 'r');
    for (let held = 0, ended = false; !ended; ) {
      const read = readSync(file, buffer, held, buffer.length - held, null);
      ended = read === 0;
      held += read;
      let at = 0;
      for (;;) {
        const size = batchSizeAt(buffer.subarray(0, held), at);
        if (size === undefined || at + size > held) {
          // A batch that is larger than the buffer.
          if (at === 0 && held === buffer.length) buffer = Buffer.concat([buffer, Buffer.alloc(buffer.length)]);
          break;
        }
        yield { bytes: buffer, position: at, segment };
        at += size;
      }
      buffer.copyWithin(0, at, held);
      held -= at;
    }
    closeSync(file);
  }
}

/** The records of a partition's folder, some `DECODE_BYTES` at a time, in one index. */
export function* readRecords(folder: string): Generator<RecordIndex> {
  const index = createRecordIndex();
  for (const { bytes, position, segment } of readBatches(folder)) {
    index.add(bytes, position, { segment, startByte: position });
    if (index.byteLength < DECODE_BYTES) continue;
    yield index;
    index.clear();
  }
  if (index.count > 0) yield index;
}
