import avsc from 'avsc';
import { AVRO_FRAME, type DataSet, framed, START_MICROS } from './data-set.ts';
import { createRandom, oneOf } from './random.ts';

const KINDS = ['TEMPERATURE', 'HUMIDITY', 'PRESSURE', 'LIGHT'];
const SCHEMA = {
  type: 'record',
  name: 'Reading',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: KINDS } },
    { name: 'value', type: 'double' },
    { name: 'device', type: 'string' },
    { name: 'quality', type: 'int' },
  ],
};

/** Events of 50 bytes, frame included. */
export const tiny: DataSet = {
  name: 'tiny',
  what: 'events of 50 bytes, Avro',
  encoding: 'avro',
  schemaText: JSON.stringify(SCHEMA),
  records: 2_000_000,
  quickRecords: 1_000_000,
  batchRecords: 5000,
  createRecords() {
    const type = avsc.Type.forSchema(SCHEMA as avsc.Schema);
    const random = createRandom(3);
    return (i) => {
      const at = START_MICROS / 1000 + i;
      const value = type.toBuffer({
        id: 1_000_000_000 + i,
        at,
        kind: oneOf(random, KINDS),
        value: random(1_000_000) / 1000,
        device: `device-${String(random(10_000)).padStart(16, '0')}`,
        quality: random(60),
      });
      return { timestampMs: at, key: null, value: framed(AVRO_FRAME, value) };
    };
  },
};
