import type { Schema } from 'avsc';
import { DEMO_EPOCH_MS, type DemoTopic, decimalBytes, framed } from './demo-topic.ts';
import { schemaOf } from './schema-of.ts';

const FIELDS = [
  { name: 'payment_id', type: { type: 'string', logicalType: 'uuid' } },
  { name: 'order_id', type: 'long' },
  { name: 'amount', type: { type: 'bytes', logicalType: 'decimal', precision: 38, scale: 9 } },
  { name: 'currency', type: { type: 'enum', name: 'Currency', symbols: ['EUR', 'JPY', 'NGN', 'SEK'] } },
  {
    name: 'method',
    type: [
      'null',
      'string',
      {
        type: 'record',
        name: 'Card',
        fields: [
          { name: 'network', type: 'string' },
          { name: 'last_digits', type: 'int' },
          { name: 'token', type: { type: 'fixed', name: 'Token', size: 12 } },
        ],
      },
      {
        type: 'record',
        name: 'BankTransfer',
        fields: [
          { name: 'iban', type: 'string' },
          { name: 'reference', type: ['null', 'string'], default: null },
        ],
      },
    ],
    default: null,
  },
  { name: 'captured_at', type: { type: 'long', logicalType: 'timestamp-millis' } },
  { name: 'settled_on', type: ['null', { type: 'int', logicalType: 'date' }], default: null },
];

const RISK = {
  name: 'risk',
  type: [
    'null',
    {
      type: 'record',
      name: 'Risk',
      fields: [
        { name: 'score', type: 'float' },
        { name: 'model', type: 'string' },
      ],
    },
  ],
  default: null,
};

const payment = (fields: unknown[]) =>
  ({ type: 'record', name: 'Payment', namespace: 'demo.payments', fields }) as unknown as Schema;
const V1 = schemaOf('payments-value', 1, 3, payment(FIELDS));
const V2 = schemaOf('payments-value', 2, 4, payment([...FIELDS, RISK]));

/** Payments: a general union, wide decimals, tombstones, plain keys; from the middle on a schema with one more field. */
export const payments: DemoTopic = {
  name: 'payments',
  partitions: 2,
  codecOffset: 2,
  schemas: (index, count) => (index * 2 < count ? [V1] : [V1, V2]),
  record(index, count, random) {
    const timestampMs = DEMO_EPOCH_MS + index * 40 + 15;
    const payment = {
      payment_id: random.uuid(),
      order_id: 1_000_000 + index,
      amount: decimalBytes(BigInt(random.int(2 ** 31) - 2 ** 28) * 1_000_000_007n),
      currency: random.pick(['EUR', 'JPY', 'NGN', 'SEK']),
      method: random.pick([
        null,
        { string: 'cash' },
        {
          'demo.payments.Card': {
            network: random.pick(['Visa', 'Mastercard', 'Verve']),
            last_digits: random.int(10_000),
            token: random.bytes(12),
          },
        },
        {
          'demo.payments.BankTransfer': {
            iban: `PT50${String(random.int(1e9)).padStart(21, '0')}`,
            reference: random.oneIn(2) ? null : `Order ${1_000_000 + index}`,
          },
        },
      ]),
      captured_at: timestampMs + random.int(60_000),
      settled_on: random.oneIn(3) ? null : Math.floor(timestampMs / 86_400_000) + random.int(4),
      risk: random.oneIn(4) ? null : { score: Math.fround(random.next()), model: 'm1' },
    };
    return {
      partition: random.int(2),
      timestampMs,
      key: Buffer.from(payment.payment_id),
      value: random.oneIn(250) ? null : framed(index * 2 < count ? V1 : V2, payment),
      headers: random.oneIn(20)
        ? [
            { key: 'retry', value: Buffer.from('1') },
            { key: 'retry', value: Buffer.from('2') },
            { key: 'note', value: null },
          ]
        : [],
    };
  },
};
