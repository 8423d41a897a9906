import type { MessageInitShape } from '@bufbuild/protobuf';
import { MillraceError } from '@millrace/base';
import { type ErrorDetailSchema, ErrorPolicy } from '@millrace/proto/common';
import type { Split } from '@millrace/proto/metadata_discovery';
import { errorToDetail } from '@millrace/rpc';
import type { DeadLetter, DeadLetters } from './dead-letters.ts';

const MAX_SAMPLES = 10;

/** Where a record or a batch stands, and its bytes as far as they could be read. */
export type Trouble = Omit<DeadLetter, 'topic' | 'partition' | 'code' | 'reason'>;

/** What a split's policy does with what can't be read or decoded. */
export interface ErrorSink {
  /** Suspend: throws the error that says which record and why. Skip: counts. Log: keeps a dead letter. */
  report(error: MillraceError, trouble: Trouble): Promise<void>;
  /** Offsets left out under the policy skip. */
  readonly skippedCount: number;
  readonly samples: MessageInitShape<typeof ErrorDetailSchema>[];
}

export function createErrorSink(split: Split, deadLetters: DeadLetters): ErrorSink {
  let skippedCount = 0;
  const samples: MessageInitShape<typeof ErrorDetailSchema>[] = [];
  return {
    get skippedCount() {
      return skippedCount;
    },
    samples,
    async report(error, trouble) {
      if (split.errorPolicy === ErrorPolicy.LOG) {
        const { topic, partition } = split;
        await deadLetters.add({ ...trouble, topic, partition, code: error.code, reason: error.message });
        return;
      }
      const placed = placedError(split, error, trouble);
      if (split.errorPolicy !== ErrorPolicy.SKIP) throw placed;
      skippedCount += trouble.lastOffset - trouble.offset + 1;
      if (samples.length < MAX_SAMPLES) samples.push(errorToDetail(placed));
    },
  };
}

/** The error with its place, in the message too: that is what people see. Trying again would not help. */
function placedError(split: Split, error: MillraceError, trouble: Trouble): MillraceError {
  const { topic, partition } = split;
  const { offset, lastOffset, segment, bytePosition: byte } = trouble;
  const offsets = offset === lastOffset ? `offset ${offset}` : `offsets ${offset} to ${lastOffset}`;
  const where = error.message.includes(segment) ? '' : ` (segment ${segment}, batch at byte ${byte})`;
  return new MillraceError(error.kind, `topic ${topic}, partition ${partition}, ${offsets}${where}: ${error.message}`, {
    code: error.code,
    retryable: false,
    cause: error,
    context: { ...error.context, topic, partition, offset, segment, byte },
  });
}
