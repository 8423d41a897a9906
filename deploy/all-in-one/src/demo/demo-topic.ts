import type { Type } from 'avsc';
import type { Random } from './random.ts';

/** A schema of a demo topic, as a registry would hold it. */
export interface DemoSchema {
  subject: string;
  version: number;
  /** Unique over all subjects. */
  id: number;
  type: Type;
  /** The text that the schema folder gets. */
  text: string;
}

export interface DemoRecord {
  partition: number;
  timestampMs: number;
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers: { key: string; value: Uint8Array | null }[];
}

export interface DemoTopic {
  name: string;
  partitions: number;
  /** Rotates the codecs, so that the topics together show all five. */
  codecOffset: number;
  /** The broker's clock instead of the producer's in `_kafka.timestamp`. */
  logAppendTime?: boolean;
  /** Those in use when record number `index` of `count` is written, oldest first. */
  schemas(index: number, count: number): DemoSchema[];
  /** Record number `index` of `count`: a function of its arguments alone. */
  record(index: number, count: number, random: Random): DemoRecord;
}

/** Where the demo's time begins; records are a few milliseconds apart. */
export const DEMO_EPOCH_MS = Date.UTC(2026, 0, 5, 8);

/** Confluent's framing: a zero byte, the schema's id (u32, big endian), the Avro encoding. */
export function framed(schema: DemoSchema, value: unknown): Buffer {
  const body = schema.type.toBuffer(value);
  const out = Buffer.allocUnsafe(5 + body.length);
  out[0] = 0;
  out.writeUInt32BE(schema.id, 1);
  body.copy(out, 5);
  return out;
}

/** An Avro decimal: two's complement, big endian, as few bytes as it takes, or exactly `length`. */
export function decimalBytes(unscaled: bigint, length?: number): Buffer {
  const size = length ?? Math.floor((unscaled < 0n ? ~unscaled : unscaled).toString(2).length / 8) + 1;
  return Buffer.from(
    BigInt.asUintN(size * 8, unscaled)
      .toString(16)
      .padStart(size * 2, '0'),
    'hex',
  );
}
