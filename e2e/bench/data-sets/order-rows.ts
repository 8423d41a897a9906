import { START_MICROS } from './data-set.ts';
import { createRandom, oneOf } from './random.ts';

export interface OrderRow {
  orderId: number;
  customerId: number;
  status: string;
  createdAtMicros: number;
  totalCents: number;
  currency: string;
  email: string;
  note: string | null;
  city: string;
  zip: string | null;
  items: { sku: string; quantity: number; price: number }[];
}

export const STATUSES = ['NEW', 'PAID', 'SHIPPED', 'DONE', 'RETURNED'];
const CURRENCIES = ['EUR', 'USD', 'GBP', 'CHF'];
const CITIES = Array.from({ length: 400 }, (_, i) => `City ${(i * 7919) % 10_007}`);
const NOTES = ['leave at the door', 'ring twice', 'gift: no invoice in the parcel, please', 'call before delivery'];

/** The orders of the benchmark, which three data sets encode: nested, with nulls and texts that repeat more or less. */
export function createOrderRows(): (i: number) => OrderRow {
  const random = createRandom(20_261_122);
  return (i) => {
    const customerId = random(100_000);
    return {
      orderId: 10_000_000 + i,
      customerId,
      status: oneOf(random, STATUSES),
      createdAtMicros: START_MICROS + i * 1500 + random(1500),
      totalCents: 100 + random(5_000_000),
      currency: oneOf(random, CURRENCIES),
      email: `customer${customerId}@example.com`,
      note: random(5) === 0 ? oneOf(random, NOTES) : null,
      city: oneOf(random, CITIES),
      zip: random(10) === 0 ? null : String(10_000 + random(9000)),
      items: Array.from({ length: random(6) }, () => ({
        sku: `SKU-${String(random(5000)).padStart(6, '0')}`,
        quantity: 1 + random(9),
        price: random(20_000) / 100,
      })),
    };
  };
}

/** Record key and time of an order. */
export const orderKey = (row: OrderRow) => ({
  timestampMs: Math.floor(row.createdAtMicros / 1000),
  key: Buffer.from(String(row.customerId)),
});
