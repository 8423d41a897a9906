import avsc from 'avsc';
import { AVRO_FRAME, type DataSet, framed } from './data-set.ts';
import { createOrderRows, orderKey, STATUSES } from './order-rows.ts';

const SCHEMA = {
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'order_id', type: 'long' },
    { name: 'customer_id', type: 'long' },
    { name: 'status', type: { type: 'enum', name: 'Status', symbols: STATUSES } },
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

/** Nested Avro: a decimal, a struct, a list of structs. */
export const orders: DataSet = {
  name: 'orders',
  what: 'nested Avro',
  encoding: 'avro',
  schemaText: JSON.stringify(SCHEMA),
  records: 1_000_000,
  quickRecords: 500_000,
  // A split of the default size, 128 MB: what each costs beside its records weighs as it does in use.
  flowRecords: 2_200_000,
  batchRecords: 2000,
  createRecords() {
    const type = avsc.Type.forSchema(SCHEMA as avsc.Schema, { wrapUnions: false });
    const rowAt = createOrderRows();
    return (i) => {
      const row = rowAt(i);
      const total = Buffer.alloc(5);
      total.writeUIntBE(row.totalCents, 0, 5);
      const value = type.toBuffer({
        order_id: row.orderId,
        customer_id: row.customerId,
        status: row.status,
        created_at: row.createdAtMicros,
        total,
        currency: row.currency,
        email: row.email,
        note: row.note,
        address: { city: row.city, zip: row.zip },
        items: row.items,
      });
      return { ...orderKey(row), value: framed(AVRO_FRAME, value) };
    };
  },
};
