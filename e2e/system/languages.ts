import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  createFileRegistry,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { runCommand } from '../peers/command.ts';
import { ROOT } from './whole.ts';

/** A Protobuf schema with what types.md says of columns; the second message is the topic's. */
export const EVENT_PROTO = `syntax = "proto3";
package shop;
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/type/date.proto";
import "shop/money.proto";

message Note { string text = 1; repeated Note replies = 2; }

message Event {
  enum Kind { UNKNOWN = 0; OPENED = 1; CLOSED = 2; LEGACY = -1; }
  message Line { string sku = 1; optional int32 count = 2; Money price = 3; repeated string labels = 4; }
  int32 a = 1; int64 b = 2; uint32 c = 3; uint64 d = 4; sint32 e = 5; sint64 f = 6;
  fixed32 g = 7; fixed64 h = 8; sfixed32 i = 9; sfixed64 j = 10;
  float k = 11; double l = 12; bool m = 13; string n = 14; bytes o = 15;
  Kind kind = 16; // What happened
  optional string nickname = 17;
  repeated Line lines = 18; repeated sint64 packed = 19; repeated int32 unpacked = 20 [packed = false]; repeated Kind kinds = 21;
  map<string, int64> counts = 22; map<int32, Line> by_number = 23; map<bool, string> answers = 24;
  oneof payment { string card = 25; Money cash = 26; }
  google.protobuf.Timestamp at = 27; google.protobuf.Duration took = 28; google.type.Date day = 29;
  google.protobuf.Int64Value maybe = 30; google.protobuf.StringValue alias = 31;
  google.protobuf.Struct extra = 32;
  Line best = 33; repeated google.protobuf.Timestamp seen = 34; Note note = 35;
}
`;

export const MONEY_PROTO = `syntax = "proto3";
package shop;
message Money { string currency = 1; int64 units = 2; int32 nanos = 3; }
`;

/** Not a copy of ours: the files of google/type that a compiler needs. */
const DATE_PROTO =
  'syntax = "proto3"; package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }';

/** Compiles .proto files with buf; the FileDescriptorSet's bytes. */
export async function compileProtos(files: Record<string, string>, main: string): Promise<Uint8Array> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-protos-'));
  try {
    for (const [path, text] of Object.entries({ ...files, 'google/type/date.proto': DATE_PROTO })) {
      await mkdir(dirname(join(dir, path)), { recursive: true });
      await writeFile(join(dir, path), text);
    }
    const out = join(dir, 'compiled.binpb');
    const args = ['build', dir, '--path', join(dir, main), '--as-file-descriptor-set', '-o', out];
    await runCommand(join(ROOT, 'node_modules', '.bin', 'buf'), args);
    return await readFile(out);
  } finally {
    await rm(dir, { recursive: true });
  }
}

export const messageOf = (compiled: Uint8Array, name: string): DescMessage =>
  createFileRegistry(fromBinary(FileDescriptorSetSchema, compiled)).getMessage(name)!;

export const encode = (desc: DescMessage, json: JsonValue): Uint8Array => toBinary(desc, fromJson(desc, json));

const big = (min: bigint, max: bigint) => fc.bigInt({ min, max }).map(String);
const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const micros = fc
  .record({ ms: fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }), rest: fc.nat(999) })
  .map(({ ms, rest }) => new Date(ms).toISOString().replace('Z', `${String(rest).padStart(3, '0')}Z`));
const money = fc.record(
  { currency: text, units: big(-(2n ** 63n), 2n ** 63n - 1n), nanos: fc.integer() },
  { requiredKeys: [] },
);
const line = fc.record(
  { sku: text, count: fc.integer(), price: money, labels: fc.array(text, { maxLength: 3 }) },
  { requiredKeys: [] },
);
const kind = fc.constantFrom<JsonValue>('UNKNOWN', 'OPENED', 'CLOSED', 'LEGACY', 12, -7);
const finite = { noNaN: true, noDefaultInfinity: true };
const map = <T>(key: fc.Arbitrary<string>, value: fc.Arbitrary<T>, maxKeys = 4) =>
  fc.dictionary(
    key.filter((name) => name !== '__proto__'),
    value,
    { maxKeys, noNullPrototype: true },
  );

const event = fc
  .record(
    {
      a: fc.integer(),
      b: big(-(2n ** 63n), 2n ** 63n - 1n),
      c: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      d: big(0n, 2n ** 64n - 1n),
      e: fc.integer(),
      f: big(-(2n ** 63n), 2n ** 63n - 1n),
      g: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      h: big(0n, 2n ** 64n - 1n),
      i: fc.integer(),
      j: big(-(2n ** 63n), 2n ** 63n - 1n),
      k: fc.float(finite),
      l: fc.double(finite),
      m: fc.boolean(),
      n: text,
      o: fc.base64String({ maxLength: 16 }),
      kind,
      nickname: text,
      lines: fc.array(line, { maxLength: 4 }),
      packed: fc.array(big(-(2n ** 63n), 2n ** 63n - 1n), { maxLength: 5 }),
      unpacked: fc.array(fc.integer(), { maxLength: 5 }),
      kinds: fc.array(kind, { maxLength: 3 }),
      counts: map(text, big(-(2n ** 63n), 2n ** 63n - 1n)),
      // Readers order their entries each in its own way: one is enough.
      byNumber: map(fc.integer().map(String), line, 1),
      answers: map(fc.constantFrom('true', 'false'), text, 1),
      payment: fc.oneof(fc.record({ card: text }), fc.record({ cash: money })),
      at: micros,
      took: fc.integer({ min: -1_000_000, max: 1_000_000 }).map((seconds) => `${seconds}.25s`),
      day: fc.record({
        year: fc.integer({ min: 1, max: 9999 }),
        month: fc.integer({ min: 1, max: 12 }),
        day: fc.integer({ min: 1, max: 28 }),
      }),
      maybe: big(-5n, 5n),
      alias: text,
      extra: fc.record({ key: fc.oneof(text, fc.boolean(), fc.constant(null), fc.array(text, { maxLength: 2 })) }),
      best: line,
      seen: fc.array(micros, { maxLength: 3 }),
      note: fc.record({ text }, { requiredKeys: [] }),
    },
    { requiredKeys: [] },
  )
  .map(({ payment, ...rest }) => ({ ...rest, ...payment }) as JsonValue);

/** Random events in ProtoJSON. */
export const randomEvents = (seed: number, count: number): JsonValue[] => fc.sample(event, { seed, numRuns: count });

export const CLICK_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    id: { type: 'integer' },
    page: { type: 'string' },
    ratio: { type: ['number', 'null'] },
    at: { type: 'string', format: 'date-time' },
    tags: { type: 'array', items: { type: 'string' } },
    user: { type: 'object', properties: { name: { type: 'string' }, admin: { type: 'boolean' } } },
    events: {
      type: 'array',
      items: { type: 'object', properties: { x: { type: 'integer' }, y: { type: ['integer', 'null'] } } },
    },
  },
};

const click = fc.record(
  {
    id: fc.maxSafeInteger(),
    page: fc.string({ unit: 'binary', maxLength: 20 }),
    ratio: fc.option(fc.double(finite)),
    at: micros.map((instant) => instant.replace('Z', '+00:00')),
    tags: fc.array(text, { maxLength: 4 }),
    user: fc.record({ name: text, admin: fc.boolean() }, { requiredKeys: [] }),
    events: fc.array(fc.record({ x: fc.integer(), y: fc.option(fc.integer()) }), { maxLength: 3 }),
  },
  // PyIceberg 0.12 reads a null list of structs as an empty one.
  { requiredKeys: ['id', 'events'] },
);

/** Random objects of CLICK_SCHEMA, as text with and without blanks. */
export const randomClicks = (seed: number, count: number): string[] =>
  fc.sample(click, { seed, numRuns: count }).map((value, at) => JSON.stringify(value, null, at % 3));
