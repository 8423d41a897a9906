import { DEMO_EPOCH_MS, type DemoTopic, framed } from './demo-topic.ts';
import { schemaOf } from './schema-of.ts';

const VALUE = schemaOf('clicks-value', 1, 5, {
  type: 'record',
  name: 'Click',
  namespace: 'demo.clicks',
  fields: [
    { name: 'click_id', type: { type: 'fixed', name: 'ClickId', size: 16 } },
    { name: 'user', type: ['null', 'string'], default: null },
    { name: 'url', type: 'string' },
    { name: 'referrer', type: ['null', 'string'], default: null },
    {
      name: 'session',
      type: {
        type: 'record',
        name: 'Session',
        fields: [
          { name: 'id', type: { type: 'string', logicalType: 'uuid' } },
          { name: 'started_at', type: { type: 'long', logicalType: 'timestamp-millis' } },
          { name: 'local_time', type: { type: 'int', logicalType: 'time-millis' } },
        ],
      },
    },
    { name: 'device', type: { type: 'enum', name: 'Device', symbols: ['PHONE', 'TABLET', 'DESKTOP', 'TV'] } },
    {
      name: 'position',
      type: [
        'null',
        {
          type: 'record',
          name: 'Position',
          fields: [
            { name: 'x', type: 'float' },
            { name: 'y', type: 'double' },
          ],
        },
      ],
      default: null,
    },
    { name: 'experiments', type: { type: 'map', values: { type: 'array', items: 'int' } } },
    { name: 'path', type: { type: 'array', items: ['null', 'string'] } },
    { name: 'dwell_seconds', type: 'double' },
    { name: 'fingerprint', type: ['null', 'bytes'], default: null },
    { name: 'clicked_at', type: { type: 'long', logicalType: 'timestamp-micros' } },
  ],
});

const PAGES = ['home', 'search', 'product', 'basket', 'help'];

/** Clicks: maps of lists, lists with nulls, binary, NaN, no headers; keys only sometimes; the broker's own time. */
export const clicks: DemoTopic = {
  name: 'clicks',
  partitions: 4,
  codecOffset: 4,
  logAppendTime: true,
  schemas: () => [VALUE],
  record(index, _count, random) {
    const timestampMs = DEMO_EPOCH_MS + index * 10;
    const user = random.oneIn(4) ? null : `user-${random.int(5000)}`;
    const click = {
      click_id: random.bytes(16),
      user,
      url: `https://shop.example/${random.pick(PAGES)}?p=${random.int(300)}`,
      referrer: random.oneIn(2) ? null : `https://${random.pick(['news', 'search', 'social'])}.example/`,
      session: {
        id: random.uuid(),
        started_at: timestampMs - random.int(3_600_000),
        local_time: random.int(86_400_000),
      },
      device: random.pick(['PHONE', 'TABLET', 'DESKTOP', 'TV']),
      position: random.oneIn(3) ? null : { x: Math.fround(random.next() * 1920), y: random.next() * 1080 },
      experiments: random.oneIn(3)
        ? { [`exp${random.int(20)}`]: Array.from({ length: random.int(4) }, () => random.int(9) - 4) }
        : {},
      path: Array.from({ length: random.int(4) }, () => (random.oneIn(5) ? null : random.pick(PAGES))),
      dwell_seconds: random.oneIn(200) ? Number.NaN : random.oneIn(200) ? -0 : random.next() * 300,
      fingerprint: random.oneIn(3) ? random.bytes(random.int(20)) : null,
      clicked_at: timestampMs * 1000 - random.int(5_000_000),
    };
    return {
      partition: random.int(4),
      timestampMs,
      key: user === null ? null : Buffer.from(user),
      value: framed(VALUE, click),
      headers: [],
    };
  },
};
