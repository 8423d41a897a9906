import { AVRO_FRAME, type DataSet, framed } from './data-set.ts';
import { createOrderRows, orderKey, STATUSES } from './order-rows.ts';

const text = { type: 'string' };
const optionalText = { type: ['string', 'null'] };

const SCHEMA = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Order',
  type: 'object',
  properties: {
    order_id: { type: 'integer' },
    customer_id: { type: 'integer' },
    status: { type: 'string', enum: STATUSES },
    created_at: { type: 'string', format: 'date-time' },
    total: { type: 'number' },
    currency: text,
    email: text,
    note: optionalText,
    address: { type: 'object', properties: { city: text, zip: optionalText }, required: ['city'] },
    items: {
      type: 'array',
      items: {
        type: 'object',
        properties: { sku: text, quantity: { type: 'integer' }, price: { type: 'number' } },
        required: ['sku', 'quantity', 'price'],
      },
    },
  },
  required: ['order_id', 'customer_id', 'status', 'created_at', 'total', 'currency', 'email', 'address', 'items'],
};

/** The same orders as JSON with a schema. */
export const ordersJson: DataSet = {
  name: 'orders-json',
  what: 'the same as JSON',
  encoding: 'json',
  schemaText: JSON.stringify(SCHEMA),
  records: 500_000,
  quickRecords: 200_000,
  batchRecords: 1000,
  createRecords() {
    const rowAt = createOrderRows();
    return (i) => {
      const row = rowAt(i);
      const micros = String(row.createdAtMicros % 1_000_000).padStart(6, '0');
      const value = JSON.stringify({
        order_id: row.orderId,
        customer_id: row.customerId,
        status: row.status,
        created_at: new Date(row.createdAtMicros / 1000).toISOString().replace(/\.\d+Z$/, `.${micros}Z`),
        total: row.totalCents / 100,
        currency: row.currency,
        email: row.email,
        note: row.note,
        address: { city: row.city, zip: row.zip },
        items: row.items,
      });
      return { ...orderKey(row), value: framed(AVRO_FRAME, Buffer.from(value)) };
    };
  },
};
