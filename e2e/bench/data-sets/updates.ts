import avsc from 'avsc';
import { AVRO_FRAME, type DataSet, framed, START_MICROS } from './data-set.ts';
import { createRandom, oneOf } from './random.ts';

const STATES = ['OPEN', 'BLOCKED', 'CLOSED'];
const SCHEMA = {
  type: 'record',
  name: 'Account',
  fields: [
    { name: 'account', type: 'string' },
    { name: 'balance', type: { type: 'bytes', logicalType: 'decimal', precision: 18, scale: 2 } },
    { name: 'state', type: { type: 'enum', name: 'State', symbols: STATES } },
    { name: 'changed_at', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'revision', type: 'int' },
  ],
};

/** Changes of 50,000 keyed accounts, some seldom and some often; one in a hundred is a tombstone. */
export const updates: DataSet = {
  name: 'updates',
  what: 'keyed changes with tombstones, Avro',
  encoding: 'avro',
  schemaText: JSON.stringify(SCHEMA),
  records: 500_000,
  quickRecords: 250_000,
  batchRecords: 2000,
  createRecords() {
    const type = avsc.Type.forSchema(SCHEMA as avsc.Schema);
    const random = createRandom(5);
    const revisions = new Int32Array(50_000);
    return (i) => {
      const n = random(random(50_000) + 1);
      const account = `account-${n}`;
      const changedAt = START_MICROS + i * 400 + random(400);
      const at = { timestampMs: Math.floor(changedAt / 1000), key: Buffer.from(account) };
      if (random(100) === 0) return { ...at, value: null };
      const balance = Buffer.alloc(6);
      balance.writeIntBE(random(2_000_000_000) - 1_000_000_000, 0, 6);
      const value = type.toBuffer({
        account,
        balance,
        state: oneOf(random, STATES),
        changed_at: changedAt,
        revision: ++revisions[n]!,
      });
      return { ...at, value: framed(AVRO_FRAME, value) };
    };
  },
};
