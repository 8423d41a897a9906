import { crc32c } from '@node-rs/crc32';
import { readInt16, readInt32, readInt64, writeInt16, writeInt32, writeInt64 } from './integers.ts';
import { type LogPlace, logError } from './place.ts';

// .snapshot: version i16 1 | crc u32 (CRC32C of what follows) | count i32 | { producerId i64 | producerEpoch i16
// | lastSequence i32 | lastOffset i64 | offsetDelta i32 | timestamp i64 | coordinatorEpoch i32 | currentTxnFirstOffset i64 }*

const HEADER_BYTES = 10;
const ENTRY_BYTES = 46;

export interface ProducerState {
  producerId: number;
  producerEpoch: number;
  lastSequence: number;
  lastOffset: number;
  offsetDelta: number;
  timestampMs: number;
  coordinatorEpoch: number;
  /** -1: no transaction is open. */
  currentTransactionFirstOffset: number;
}

/** The producers that a segment's snapshot names. Errors: index-malformed. */
export function decodeProducerSnapshot(bytes: Uint8Array, place: LogPlace): ProducerState[] {
  const count = bytes.length < HEADER_BYTES ? -1 : readInt32(bytes, 6);
  const wrong =
    count < 0 || bytes.length !== HEADER_BYTES + count * ENTRY_BYTES
      ? `${bytes.length} bytes do not hold ${count} producers`
      : readInt16(bytes, 0) !== 1
        ? `its version is ${readInt16(bytes, 0)}, not 1`
        : crc32c(bytes.subarray(6)) !== readInt32(bytes, 2) >>> 0
          ? 'its CRC32C does not match'
          : undefined;
  if (wrong !== undefined) throw logError('index-malformed', `a producer snapshot is broken: ${wrong}`, place, 0);
  return Array.from({ length: count }, (_, i) => {
    const at = HEADER_BYTES + i * ENTRY_BYTES;
    return {
      producerId: readInt64(bytes, at),
      producerEpoch: readInt16(bytes, at + 8),
      lastSequence: readInt32(bytes, at + 10),
      lastOffset: readInt64(bytes, at + 14),
      offsetDelta: readInt32(bytes, at + 22),
      timestampMs: readInt64(bytes, at + 26),
      coordinatorEpoch: readInt32(bytes, at + 34),
      currentTransactionFirstOffset: readInt64(bytes, at + 38),
    };
  });
}

export function encodeProducerSnapshot(producers: readonly ProducerState[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(HEADER_BYTES + producers.length * ENTRY_BYTES);
  writeInt16(out, 0, 1);
  writeInt32(out, 6, producers.length);
  producers.forEach((producer, i) => {
    const at = HEADER_BYTES + i * ENTRY_BYTES;
    writeInt64(out, at, producer.producerId);
    writeInt16(out, at + 8, producer.producerEpoch);
    writeInt32(out, at + 10, producer.lastSequence);
    writeInt64(out, at + 14, producer.lastOffset);
    writeInt32(out, at + 22, producer.offsetDelta);
    writeInt64(out, at + 26, producer.timestampMs);
    writeInt32(out, at + 34, producer.coordinatorEpoch);
    writeInt64(out, at + 38, producer.currentTransactionFirstOffset);
  });
  writeInt32(out, 2, crc32c(out.subarray(6)));
  return out;
}
