import type { RecordIndex } from '@millrace/kafka-log';
import type { RecordFormat } from '@millrace/proto/metadata_discovery';
import { frameSchemaId } from '@millrace/schema';

/** No bytes: fits every run. */
export const NULL_RECORD = -2;
/** Should have a schema id before it, and has none. */
export const UNFRAMED = -1;
/** Encodings that have no schema. Also a legal id: the encoding says which it is. */
const NO_SCHEMA = 0;

/** Schema ids of an index's records, a slot a record. */
export interface RecordSchemas {
  values: Int32Array;
  keys: Int32Array;
}

/** Reads the schema ids of all records of an index into arrays that are used again. */
export function createRecordSchemas(valueFormat: RecordFormat | undefined, keyFormat: RecordFormat | undefined) {
  const found: RecordSchemas = { values: new Int32Array(0), keys: new Int32Array(0) };
  return (index: RecordIndex): RecordSchemas => {
    if (found.values.length < index.count) {
      found.values = new Int32Array(index.offsets.length);
      found.keys = new Int32Array(index.offsets.length);
    }
    readIds(found.values, valueFormat, index, index.valueStarts, index.valueLengths);
    readIds(found.keys, keyFormat, index, index.keyStarts, index.keyLengths);
    return found;
  };
}

function readIds(
  ids: Int32Array,
  format: RecordFormat | undefined,
  { bytes, count }: RecordIndex,
  starts: Int32Array,
  lengths: Int32Array,
): void {
  if (format?.encoding !== 'avro') {
    ids.fill(NO_SCHEMA, 0, count);
    return;
  }
  const framed = format.framing === 'confluent';
  for (let i = 0; i < count; i++) {
    const length = lengths[i]!;
    ids[i] = length < 0 ? NULL_RECORD : framed ? frameSchemaId(bytes, starts[i]!, length) : format.fixedSchemaId;
  }
}

export interface Run {
  to: number;
  /** NULL_RECORD when every record of the run is. */
  valueSchema: number;
  keySchema: number;
}

/** The longest run from `from` on whose values have one schema and whose keys have one. An unframed record is a run of its own. */
export function runFrom({ values, keys }: RecordSchemas, from: number, count: number): Run {
  let valueSchema = values[from]!;
  let keySchema = keys[from]!;
  let to = from + 1;
  if (valueSchema === UNFRAMED || keySchema === UNFRAMED) return { to, valueSchema, keySchema };
  for (; to < count; to++) {
    const value = values[to]!;
    const key = keys[to]!;
    if (!joins(value, valueSchema) || !joins(key, keySchema)) break;
    if (valueSchema === NULL_RECORD) valueSchema = value;
    if (keySchema === NULL_RECORD) keySchema = key;
  }
  return { to, valueSchema, keySchema };
}

const joins = (id: number, run: number): boolean =>
  id === run || id === NULL_RECORD || (run === NULL_RECORD && id !== UNFRAMED);
