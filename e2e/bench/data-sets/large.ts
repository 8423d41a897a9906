import avsc from 'avsc';
import { AVRO_FRAME, type DataSet, framed, START_MICROS } from './data-set.ts';
import { createRandom } from './random.ts';

const SCHEMA = {
  type: 'record',
  name: 'Document',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'title', type: 'string' },
    { name: 'text', type: 'string' },
    { name: 'image', type: 'bytes' },
  ],
};
const TEXT_BYTES = 300_000;
const IMAGE_BYTES = 700_000;
const POOL_BYTES = 8 << 20;

/** Records of 1 MB: a text that compresses, an image that does not. */
export const large: DataSet = {
  name: 'large',
  what: 'records of 1 MB, Avro',
  encoding: 'avro',
  schemaText: JSON.stringify(SCHEMA),
  records: 800,
  quickRecords: 400,
  batchRecords: 1,
  createRecords() {
    const type = avsc.Type.forSchema(SCHEMA as avsc.Schema);
    const random = createRandom(11);
    const pool = new Uint32Array(POOL_BYTES / 4);
    for (let i = 0; i < pool.length; i++) pool[i] = random(4_294_967_296);
    const bytes = Buffer.from(pool.buffer);
    const text = bytes.toString('hex');
    return (i) => {
      const at = random(POOL_BYTES - IMAGE_BYTES);
      const value = type.toBuffer({
        id: i,
        title: `Document ${i}`,
        text: text.slice(at, at + TEXT_BYTES),
        image: bytes.subarray(at, at + IMAGE_BYTES),
      });
      return { timestampMs: START_MICROS / 1000 + i, key: Buffer.from(String(i)), value: framed(AVRO_FRAME, value) };
    };
  },
};
