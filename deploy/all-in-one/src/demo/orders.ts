import { DEMO_EPOCH_MS, type DemoTopic, decimalBytes, framed } from './demo-topic.ts';
import { schemaOf } from './schema-of.ts';

const KEY = schemaOf('orders-key', 1, 1, {
  type: 'record',
  name: 'OrderKey',
  namespace: 'demo.orders',
  fields: [{ name: 'order_id', type: 'long' }],
});

const VALUE = schemaOf('orders-value', 1, 2, {
  type: 'record',
  name: 'Order',
  namespace: 'demo.orders',
  fields: [
    { name: 'order_id', type: 'long' },
    {
      name: 'customer',
      type: {
        type: 'record',
        name: 'Customer',
        fields: [
          { name: 'id', type: { type: 'string', logicalType: 'uuid' } },
          { name: 'name', type: 'string' },
          { name: 'email', type: ['null', 'string'], default: null },
          {
            name: 'address',
            type: [
              'null',
              {
                type: 'record',
                name: 'Address',
                fields: [
                  { name: 'street', type: 'string' },
                  { name: 'city', type: 'string' },
                  { name: 'country', type: 'string' },
                  { name: 'floor', type: ['null', 'int'], default: null },
                ],
              },
            ],
            default: null,
          },
        ],
      },
    },
    { name: 'status', type: { type: 'enum', name: 'Status', symbols: ['PLACED', 'PAID', 'SHIPPED', 'RETURNED'] } },
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
            { name: 'unit_price', type: { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 } },
            { name: 'discount', type: ['null', 'double'], default: null },
            { name: 'options', type: { type: 'map', values: 'string' } },
          ],
        },
      },
    },
    {
      name: 'total',
      type: { type: 'fixed', name: 'Amount', size: 8, logicalType: 'decimal', precision: 18, scale: 2 },
    },
    { name: 'coupons', type: ['null', { type: 'array', items: 'string' }], default: null },
    { name: 'attributes', type: { type: 'map', values: ['null', 'string'] } },
    { name: 'gift', type: 'boolean' },
    { name: 'ordered_at', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'deliver_on', type: ['null', { type: 'int', logicalType: 'date' }], default: null },
  ],
});

const NAMES = ['Ada Núñez', 'Björn Ek', 'Chidi Okafor', 'Dina Haddad', '田中 恵', 'Eva Horváth', "Fionn O'Neill"];
const CITIES = ['Lisboa', 'Göteborg', 'Lagos', 'Beirut', '大阪', 'Szeged', 'Galway'];
const COUNTRIES = ['PT', 'SE', 'NG', 'LB', 'JP', 'HU', 'IE'];

/** Orders: nesting, lists of structs, maps, decimals in bytes and fixed; the key has a schema, and its field's name clashes. */
export const orders: DemoTopic = {
  name: 'orders',
  partitions: 3,
  codecOffset: 0,
  schemas: () => [KEY, VALUE],
  record(index, _count, random) {
    const home = random.int(CITIES.length);
    const items = Array.from({ length: random.int(5) }, () => ({
      sku: `SKU-${String(random.int(400)).padStart(4, '0')}`,
      quantity: 1 + random.int(9),
      unit_price: BigInt(99 + random.int(50_000)),
      discount: random.oneIn(4) ? random.int(50) / 100 : null,
      options: random.oneIn(3)
        ? { colour: random.pick(['red', 'green', 'blue']), size: random.pick(['S', 'M', 'L']) }
        : {},
    }));
    const total = items.reduce((sum, item) => sum + item.unit_price * BigInt(item.quantity), 0n);
    const timestampMs = DEMO_EPOCH_MS + index * 40;
    const status = random.int(4);
    const order = {
      order_id: 1_000_000 + index,
      customer: {
        id: random.uuid(),
        name: random.pick(NAMES),
        email: random.oneIn(3) ? null : `customer${random.int(10_000)}@example.com`,
        address: random.oneIn(5)
          ? null
          : {
              street: `${1 + random.int(200)} Mill Lane`,
              city: CITIES[home]!,
              country: COUNTRIES[home]!,
              floor: random.oneIn(2) ? random.int(12) - 2 : null,
            },
      },
      status: ['PLACED', 'PAID', 'SHIPPED', 'RETURNED'][status]!,
      items: items.map((item) => ({ ...item, unit_price: decimalBytes(item.unit_price) })),
      total: decimalBytes(status === 3 ? -total : total, 8),
      coupons: random.oneIn(3) ? Array.from({ length: random.int(3) }, () => `C${random.int(1000)}`) : null,
      attributes: random.oneIn(2)
        ? { source: random.pick(['app', 'web']), campaign: random.oneIn(2) ? null : 'winter' }
        : {},
      gift: random.oneIn(10),
      ordered_at: timestampMs * 1000 + random.int(1000),
      deliver_on: status < 2 ? null : Math.floor(timestampMs / 86_400_000) + 1 + random.int(20),
    };
    return {
      partition: random.int(3),
      timestampMs,
      key: framed(KEY, { order_id: order.order_id }),
      value: framed(VALUE, order),
      headers: [{ key: 'trace-id', value: Buffer.from(random.bytes(8).toString('hex')) }],
    };
  },
};
