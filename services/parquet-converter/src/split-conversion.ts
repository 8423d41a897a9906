import { setImmediate } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { MillraceError } from '@millrace/base';
import { appendRecords, createRowBuilder, type RunDecoders } from '@millrace/columns';
import { batchSizeAt, createRecordIndex, type RecordIndex, readHeaders } from '@millrace/kafka-log';
import { openStore } from '@millrace/object-store';
import type { CompleteSplitRequestSchema, Lease, Split, SplitService } from '@millrace/proto/metadata_discovery';
import type { Client } from '@millrace/rpc';
import type { ParquetConverterConfig } from './config.ts';
import { createDataFiles, toDataFile, type WrittenFile } from './data-files.ts';
import { createDeadLetters } from './dead-letters.ts';
import type { DecoderCache } from './decoder-cache.ts';
import { createErrorSink, type ErrorSink, type Trouble } from './error-policy.ts';
import { newestRecordMs } from './newest-record.ts';
import { createRecordSchemas, NULL_RECORD, type RecordSchemas, type Run, runFrom } from './record-schemas.ts';
import { createSplitDecoders, type Role } from './split-decoders.ts';
import { openSplit, type SourceDeps, type SplitPiece } from './split-source.ts';

export interface ConversionDeps extends SourceDeps {
  config: ParquetConverterConfig;
  splits: Pick<Client<typeof SplitService>, 'resolveSchema'>;
  decoders: DecoderCache;
}

/** A split's files, all written and none committed. */
export interface ConvertedSplit {
  completion: Omit<MessageInitShape<typeof CompleteSplitRequestSchema>, 'splitId' | 'epoch' | '$typeName' | '$unknown'>;
  /** For the log. */
  summary: { rows: number; files: number; bytes: number; skipped: number; deadLetters: number };
  /** Deletes the files. */
  discard(): Promise<void>;
}

/**
 * Converts a split into Parquet files under data/, named after the split, the lease's epoch and, from the second on, the
 * attempt. What can't be read goes the way of the split's error policy. On any error nothing is left in the store.
 * `onEncoded`: from now on it only waits for the store.
 */
export async function convertSplit(
  lease: Lease,
  deps: ConversionDeps,
  signal: AbortSignal,
  onEncoded: () => void = () => {},
  attempt = 1,
): Promise<ConvertedSplit> {
  const split = lease.split!;
  const { targetFileBytes, rowGroupBytes, rowGroupRows } = deps.config;
  const store = openStore(split.location);
  // A name of its own for each try: a deletion or a write of an earlier one that the store carries out late harms no file.
  const name = `${split.splitId}-${lease.epoch}${attempt === 1 ? '' : `-${attempt}`}`;
  const keyOf = (n: number) => `data/${name}-${n}.parquet`;
  const offsets = { start: Number(split.startOffset), end: Number(split.endOffset) };
  const files = createDataFiles({ store, keyOf, targetFileBytes, rowGroupBytes, rowGroupRows, offsets, signal });
  const deadLetters = createDeadLetters(store, `_dead_letters/${name}.parquet`);
  const errors = createErrorSink(split, deadLetters);
  const discard = async () => {
    await files.abort();
    await deadLetters.abort();
  };
  try {
    await convertPieces(split, deps, files, errors, signal);
    await files.end();
    onEncoded();
    const written = await files.finish();
    const letters = await deadLetters.finish();
    return {
      completion: {
        files: written.map((file, i) => toDataFile(file, [offsetsOf(split, written, i)])),
        deadLetters: letters === undefined ? [] : [letters],
        skippedCount: BigInt(errors.skippedCount),
        skippedSamples: errors.samples,
        newestRecordMs: newestRecordMs(split.tableSchemaJson, written),
      },
      summary: {
        rows: written.reduce((sum, file) => sum + file.stats.recordCount, 0),
        files: written.length,
        bytes: written.reduce((sum, file) => sum + file.stats.sizeBytes, 0),
        skipped: errors.skippedCount,
        deadLetters: Number(letters?.recordCount ?? 0),
      },
      discard,
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

/** The files share the split's offsets without gap: each goes on where the one before it ended. */
function offsetsOf(split: Split, files: readonly WrittenFile[], i: number) {
  return {
    partition: split.partition,
    startOffset: i === 0 ? split.startOffset : BigInt(files[i - 1]!.endOffset),
    endOffset: i === files.length - 1 ? split.endOffset : BigInt(files[i]!.endOffset),
  };
}

async function convertPieces(
  split: Split,
  deps: ConversionDeps,
  files: ReturnType<typeof createDataFiles>,
  errors: ErrorSink,
  signal: AbortSignal,
): Promise<void> {
  const [startOffset, endOffset] = [Number(split.startOffset), Number(split.endOffset)];
  const { maxBatchBytes, batchBytes } = deps.config;
  const { aborted, pieces } = await openSplit(split, deps, signal);
  const index = createRecordIndex({ filter: { startOffset, endOffset, aborted }, maxBatchBytes, trustCrc: true });
  const converter = createRunConverter(split, deps, files, errors, index);
  for await (const piece of pieces) {
    if (piece.kind === 'broken') {
      await converter.flush();
      await reportBatch(errors, split, piece, new MillraceError('corrupt', piece.reason, { code: piece.code }));
      continue;
    }
    const place = { segment: piece.segment, startByte: piece.startByte };
    for (let at = 0; at < piece.bytes.length; at += batchSizeAt(piece.bytes, at)!) {
      try {
        index.add(piece.bytes, at, place);
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
        await converter.flush();
        const baseOffset = Number(error.context['offset']);
        const lastOffset = Number(error.context['lastOffset'] ?? baseOffset);
        await reportBatch(errors, split, { ...place, baseOffset, lastOffset, startByte: piece.startByte + at }, error);
      }
      if (index.byteLength >= batchBytes) {
        await converter.flush();
        // What was read ahead arrives, heartbeats go out and native memory is let go of only when the event loop turns.
        await setImmediate();
        signal.throwIfAborted();
      }
    }
  }
  await converter.flush();
}

type Place = Pick<SplitPiece & { kind: 'broken' }, 'segment' | 'startByte' | 'baseOffset' | 'lastOffset'>;

function reportBatch(errors: ErrorSink, split: Split, place: Place, error: MillraceError): Promise<void> {
  return errors.report(error, {
    offset: Math.max(place.baseOffset, Number(split.startOffset)),
    lastOffset: Math.min(place.lastOffset, Number(split.endOffset) - 1),
    timestampMs: -1,
    key: null,
    value: null,
    headers: [],
    segment: place.segment,
    bytePosition: place.startByte,
  });
}

/** Turns the records that are in the index into rows of files, run by run, and empties the index. */
function createRunConverter(
  split: Split,
  deps: ConversionDeps,
  files: ReturnType<typeof createDataFiles>,
  errors: ErrorSink,
  index: RecordIndex,
) {
  const schemasOf = createRecordSchemas(split.valueFormat, split.keyFormat);
  const decoders = createSplitDecoders(split, deps);
  let rows = createRowBuilder(decoders.table);
  let schemas: RecordSchemas;

  /** Hands the rows so far to the files; `from` is the first record that is not among them. */
  async function write(from: number): Promise<void> {
    if (rows.length > 0) await files.append(rows.batch(), index.offsets[from - 1]! + 1);
    rows.reset();
  }

  async function append(run: RunDecoders, from: number, to: number): Promise<void> {
    for (let at = from; at < to; at++) {
      const { appended, error } = appendRecords(rows, run, index, at, to);
      at += appended;
      if (error !== undefined) await errors.report(error, troubleOf(index, at));
    }
  }

  async function convertRun(from: number, run: Run): Promise<void> {
    const resolved = await decoders.resolve(run, index, from);
    if (decoders.table.schemaId !== rows.schema.schemaId) {
      await write(from);
      rows = createRowBuilder(decoders.table);
    }
    if (resolved.failed.length === 0) return append(resolved.decoders, from, run.to);
    // A null in a role whose schema is not to be had breaks nothing.
    for (let i = from; i < run.to; i++) {
      const failure = resolved.failed.find(({ role }) => idOf(schemas, role, i) !== NULL_RECORD);
      if (failure === undefined) await append(resolved.decoders, i, i + 1);
      else await errors.report(failure.error, troubleOf(index, i));
    }
  }

  return {
    async flush(): Promise<void> {
      schemas = schemasOf(index);
      for (let from = 0; from < index.count; ) {
        const run = runFrom(schemas, from, index.count);
        await convertRun(from, run);
        from = run.to;
      }
      await write(index.count);
      index.clear();
    },
  };
}

const idOf = (schemas: RecordSchemas, role: Role, i: number): number =>
  (role === 'value' ? schemas.values : schemas.keys)[i]!;

function troubleOf(index: RecordIndex, i: number): Trouble {
  const batch = index.batches[index.batchNumbers[i]!]!;
  const slice = (starts: Int32Array, lengths: Int32Array) =>
    lengths[i]! < 0 ? null : index.bytes.subarray(starts[i]!, starts[i]! + lengths[i]!);
  return {
    offset: index.offsets[i]!,
    lastOffset: index.offsets[i]!,
    timestampMs: index.timestampsMs[i]!,
    key: slice(index.keyStarts, index.keyLengths),
    value: slice(index.valueStarts, index.valueLengths),
    headers: readHeaders(index, i),
    segment: batch.segment,
    bytePosition: batch.startByte,
  };
}
