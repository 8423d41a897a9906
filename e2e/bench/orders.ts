import { type CompressionCodec, encodeRecordBatch, type NewRecord } from '@millrace/kafka-log';
import avsc from 'avsc';

/** The orders of the benchmark: nested, with a decimal, a list of structs, nulls and texts that repeat more or less. */
export const ORDER_SCHEMA = {
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'order_id', type: 'long' },
    { name: 'customer_id', type: 'long' },
    { name: 'status', type: { type: 'enum', name: 'Status', symbols: ['NEW', 'PAID', 'SHIPPED', 'DONE', 'RETURNED'] } },
    { name: 'created_at', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'total', type: { type: 'bytes', logicalType: 'decimal', precision: 12, scale: 2 } },
    { name: 'currency', type: 'string' },
    { name: 'email', type: 'string' },
    { name: 'note', type: ['null', 'string'], default: null },
    {
      name: 'address',
      type: {
        type: 'record',
        name: 'Address',
        fields: [
          { name: 'city', type: 'string' },
          { name: 'zip', type: ['null', 'string'], default: null },
        ],
      },
    },
    {
      name: 'items',
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'Item',
          fields: [
            { name: 'sku', type: 'string' },
            { name: 'quantity', type: 'int' },
            { name: 'price', type: 'double' },
          ],
        },
      },
    },
  ],
};

const CURRENCIES = ['EUR', 'USD', 'GBP', 'CHF'];
const CITIES = Array.from({ length: 400 }, (_, i) => `City ${(i * 7919) % 10_007}`);
const NOTES = ['leave at the door', 'ring twice', 'gift: no invoice in the parcel, please', 'call before delivery'];
const START_MICROS = 1_750_000_000_000_000;

/** The same numbers on every machine (mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (((mixed ^ (mixed >>> 14)) >>> 0) * below) / 4_294_967_296;
  };
}

/** A log of orders as Kafka's segment files hold it: record batches one after the other, some 250 KB each before compression. */
export function orderLog(records: number, codec: CompressionCodec): { batches: Uint8Array[]; rawBytes: number } {
  const type = avsc.Type.forSchema(ORDER_SCHEMA as avsc.Schema, { wrapUnions: false });
  const random = randomNumbers(20_261_122);
  const int = (below: number) => Math.floor(random(below));
  const batches: Uint8Array[] = [];
  let rawBytes = 0;
  for (let from = 0; from < records; from += 2000) {
    const batch: NewRecord[] = [];
    for (let i = from; i < Math.min(records, from + 2000); i++) {
      const cents = Buffer.alloc(5);
      cents.writeUIntBE(100 + int(5_000_000), 0, 5);
      const customer = int(100_000);
      const value = type.toBuffer({
        order_id: 10_000_000 + i,
        customer_id: customer,
        status: ['NEW', 'PAID', 'SHIPPED', 'DONE', 'RETURNED'][int(5)],
        created_at: START_MICROS + i * 1500 + int(1500),
        total: cents,
        currency: CURRENCIES[int(4)],
        email: `customer${customer}@example.com`,
        note: random(1) < 0.2 ? NOTES[int(4)] : null,
        address: { city: CITIES[int(400)], zip: random(1) < 0.1 ? null : String(10_000 + int(9000)) },
        items: Array.from({ length: int(6) }, () => ({
          sku: `SKU-${String(int(5000)).padStart(6, '0')}`,
          quantity: 1 + int(9),
          price: int(20_000) / 100,
        })),
      });
      const key = Buffer.from(String(customer));
      rawBytes += value.length + key.length;
      batch.push({ timestampMs: Math.floor((START_MICROS + i * 1500) / 1000), key, value });
    }
    batches.push(encodeRecordBatch({ baseOffset: from, records: batch, codec }));
  }
  return { batches, rawBytes };
}
