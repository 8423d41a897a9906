import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, createFileRegistry, type DescMessage, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { type DataSet, framed, PROTOBUF_FRAME } from './data-set.ts';
import { createOrderRows, orderKey, STATUSES } from './order-rows.ts';

const SCHEMA = `syntax = "proto3";
package bench;

import "google/protobuf/timestamp.proto";

message Order {
  int64 order_id = 1;
  int64 customer_id = 2;
  Status status = 3;
  google.protobuf.Timestamp created_at = 4;
  int64 total_cents = 5;
  string currency = 6;
  string email = 7;
  optional string note = 8;
  Address address = 9;
  repeated Item items = 10;

  enum Status {
    NEW = 0;
    PAID = 1;
    SHIPPED = 2;
    DONE = 3;
    RETURNED = 4;
  }
  message Address {
    string city = 1;
    optional string zip = 2;
  }
  message Item {
    string sku = 1;
    int32 quantity = 2;
    double price = 3;
  }
}
`;

/** The compiled schema, by buf: a serialised FileDescriptorSet with what it imports. */
export function orderDescriptors(): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-proto-'));
  try {
    writeFileSync(join(folder, 'order.proto'), SCHEMA);
    const out = join(folder, 'order.binpb');
    const root = join(import.meta.dirname, '..', '..', '..');
    const run = spawnSync(join(root, 'node_modules', '.bin', 'buf'), ['build', folder, '-o', out], {
      encoding: 'utf8',
    });
    if (run.status !== 0) throw new Error(`buf build failed: ${run.stderr || run.error?.message}`);
    return readFileSync(out);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The message type as protobuf-es has it. */
export const orderMessage = (): DescMessage =>
  createFileRegistry(fromBinary(FileDescriptorSetSchema, orderDescriptors())).getMessage('bench.Order')!;

/** The same orders as Protobuf. */
export const ordersProtobuf: DataSet = {
  name: 'orders-protobuf',
  what: 'the same as Protobuf',
  encoding: 'protobuf',
  schemaText: SCHEMA,
  records: 500_000,
  quickRecords: 200_000,
  batchRecords: 2000,
  createRecords() {
    const type = orderMessage();
    const rowAt = createOrderRows();
    return (i) => {
      const row = rowAt(i);
      const message = create(type, {
        orderId: BigInt(row.orderId),
        customerId: BigInt(row.customerId),
        status: STATUSES.indexOf(row.status),
        createdAt: {
          seconds: BigInt(Math.floor(row.createdAtMicros / 1_000_000)),
          nanos: (row.createdAtMicros % 1_000_000) * 1000,
        },
        totalCents: BigInt(row.totalCents),
        currency: row.currency,
        email: row.email,
        ...(row.note === null ? {} : { note: row.note }),
        address: { city: row.city, ...(row.zip === null ? {} : { zip: row.zip }) },
        items: row.items,
      } as Partial<Message>);
      return { ...orderKey(row), value: framed(PROTOBUF_FRAME, toBinary(type, message)) };
    };
  },
};
