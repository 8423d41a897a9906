import type { NewRecord } from '@millrace/kafka-log';

/** A topic of the benchmark: seeded, so that every run on every machine has the same bytes. */
export interface DataSet {
  name: string;
  what: string;
  encoding: 'avro' | 'protobuf' | 'json';
  /** The value's schema, as a registry has it. */
  schemaText: string;
  /** Records of a run, and of a quick one. */
  records: number;
  quickRecords: number;
  /** Records of the whole flow, when they are others. */
  flowRecords?: number;
  /** Records of a Kafka batch. */
  batchRecords: number;
  /** Makes the records one after another: call it with 0, 1, 2, … */
  createRecords(): (i: number) => NewRecord;
}

/** The id that every data set's schema has in Confluent's frame. */
export const SCHEMA_ID = 1;

const EXTENSIONS = { avro: 'avsc', protobuf: 'proto', json: 'json' };

/** What the schema's file is called in a folder of schemas, under `<name>-value/`. */
export const schemaFile = ({ encoding }: DataSet): string => `1-${SCHEMA_ID}.${EXTENSIONS[encoding]}`;

/** When the first record was made, in microseconds. */
export const START_MICROS = 1_750_000_000_000_000;

/** Confluent's frame of Avro and JSON values; Protobuf has the place of the message behind it (0: the first). */
export const AVRO_FRAME = Buffer.from([0, 0, 0, 0, SCHEMA_ID]);
export const PROTOBUF_FRAME = Buffer.from([0, 0, 0, 0, SCHEMA_ID, 0]);

export const framed = (frame: Uint8Array, body: Uint8Array): Uint8Array => Buffer.concat([frame, body]);
