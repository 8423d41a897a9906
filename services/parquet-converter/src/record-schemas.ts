import type { RecordIndex } from '@millrace/kafka-log';
import type { RecordFormat } from '@millrace/proto/metadata_discovery';
import { FRAME_BYTES, frameSchemaId, type MessageFrame, messageFrame } from '@millrace/schema';

/** No bytes: fits every run. */
export const NULL_RECORD = -2;
/** Should have a schema id before it, and has none. */
export const UNFRAMED = -1;
/** Encodings that have no schema. Also a legal id: the encoding says which it is. */
const NO_SCHEMA = 0;

/** How what stands before a key or value says what it is: a schema, and in Protobuf a message of it. */
export type Frame = MessageFrame;

/**
 * Schema ids of an index's records, a slot a record. Records of a role whose frames have more than an id (Protobuf) have
 * the frame's place in `valueFrames` or `keyFrames` instead.
 */
export interface RecordSchemas {
  values: Int32Array;
  keys: Int32Array;
  valueFrames?: readonly Frame[];
  keyFrames?: readonly Frame[];
}

/** Reads the schema ids of all records of an index into arrays that are used again. */
export function createRecordSchemas(valueFormat: RecordFormat | undefined, keyFormat: RecordFormat | undefined) {
  const values = hasMessageFrames(valueFormat) ? createFrames() : undefined;
  const keys = hasMessageFrames(keyFormat) ? createFrames() : undefined;
  const found: RecordSchemas = {
    values: new Int32Array(0),
    keys: new Int32Array(0),
    ...(values ? { valueFrames: values.all } : {}),
    ...(keys ? { keyFrames: keys.all } : {}),
  };
  return (index: RecordIndex): RecordSchemas => {
    if (found.values.length < index.count) {
      found.values = new Int32Array(index.offsets.length);
      found.keys = new Int32Array(index.offsets.length);
    }
    readIds(found.values, valueFormat, values, index, index.valueStarts, index.valueLengths);
    readIds(found.keys, keyFormat, keys, index, index.keyStarts, index.keyLengths);
    return found;
  };
}

const HAVE_SCHEMAS = new Set(['avro', 'protobuf', 'json']);

/** Whether keys or values of a format are read with a schema. */
export const hasSchema = (format: RecordFormat | undefined): boolean =>
  format !== undefined && HAVE_SCHEMAS.has(format.encoding) && (isFramed(format) || format.fixedSchemaId !== NO_SCHEMA);

const isFramed = (format: RecordFormat): boolean => format.framing === 'confluent';

const hasMessageFrames = (format: RecordFormat | undefined): boolean =>
  format?.encoding === 'protobuf' && isFramed(format);

/** Bytes before the payload in every record of a format whose frames are equally long. */
export const frameBytes = (format: RecordFormat | undefined): number =>
  format !== undefined && hasSchema(format) && isFramed(format) ? FRAME_BYTES : 0;

function readIds(
  ids: Int32Array,
  format: RecordFormat | undefined,
  frames: ReturnType<typeof createFrames> | undefined,
  { bytes, count }: RecordIndex,
  starts: Int32Array,
  lengths: Int32Array,
): void {
  if (format === undefined || !hasSchema(format)) {
    ids.fill(NO_SCHEMA, 0, count);
    return;
  }
  const framed = isFramed(format);
  frames?.begin();
  for (let i = 0; i < count; i++) {
    const length = lengths[i]!;
    if (length < 0) ids[i] = NULL_RECORD;
    else if (frames) ids[i] = frames.placeOf(bytes, starts[i]!, length);
    else ids[i] = framed ? frameSchemaId(bytes, starts[i]!, length) : format.fixedSchemaId;
  }
}

const MAX_FRAMES = 10_000;

/** The different frames of a role's records, each once. */
function createFrames() {
  const all: Frame[] = [];
  const places = new Map<string, number>();
  let last: Frame | undefined;
  let lastPlace = UNFRAMED;
  return {
    all,
    /** Before the records of an index: frames found earlier are kept, but not without end. */
    begin(): void {
      if (all.length <= MAX_FRAMES) return;
      all.length = 0;
      places.clear();
      last = undefined;
    },
    /** The place among `all` of the frame before a record's bytes; UNFRAMED when there is none. */
    placeOf(bytes: Uint8Array, start: number, length: number): number {
      // Nearly always as the record before it, and nearly always the first message of its schema.
      const first = length > FRAME_BYTES && bytes[start + FRAME_BYTES] === 0;
      if (first && last?.bytes === FRAME_BYTES + 1 && last.schemaId === frameSchemaId(bytes, start, length))
        return lastPlace;
      const frame = messageFrame(bytes, start, length);
      if (frame === undefined) return UNFRAMED;
      const key = `${frame.schemaId} ${frame.bytes} ${frame.indexes.join('.')}`;
      let place = places.get(key);
      if (place === undefined) {
        place = all.push(frame) - 1;
        places.set(key, place);
      }
      if (first) {
        last = frame;
        lastPlace = place;
      }
      return place;
    },
  };
}

export interface Run {
  to: number;
  /** NULL_RECORD when every record of the run is. */
  valueSchema: number;
  keySchema: number;
  /** Of the run's Protobuf messages; the schemas are theirs then. */
  valueFrame?: Frame;
  keyFrame?: Frame;
}

/** The longest run from `from` on whose values have one schema and whose keys have one. An unframed record is a run of its own. */
export function runFrom(schemas: RecordSchemas, from: number, count: number): Run {
  const { to, value, key } = alikeFrom(schemas, from, count);
  const valueFrame = schemas.valueFrames?.[value];
  const keyFrame = schemas.keyFrames?.[key];
  return {
    to,
    valueSchema: valueFrame?.schemaId ?? value,
    keySchema: keyFrame?.schemaId ?? key,
    ...(valueFrame ? { valueFrame } : {}),
    ...(keyFrame ? { keyFrame } : {}),
  };
}

function alikeFrom({ values, keys }: RecordSchemas, from: number, count: number) {
  let value = values[from]!;
  let key = keys[from]!;
  let to = from + 1;
  if (value === UNFRAMED || key === UNFRAMED) return { to, value, key };
  for (; to < count; to++) {
    const nextValue = values[to]!;
    const nextKey = keys[to]!;
    if (!joins(nextValue, value) || !joins(nextKey, key)) break;
    if (value === NULL_RECORD) value = nextValue;
    if (key === NULL_RECORD) key = nextKey;
  }
  return { to, value, key };
}

const joins = (id: number, run: number): boolean =>
  id === run || id === NULL_RECORD || (run === NULL_RECORD && id !== UNFRAMED);
