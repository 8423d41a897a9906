import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, type DescMessage, type DescMethod, type Message, ScalarType, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { entryOf, plausible, SERVICES, set, type Values } from './system/plausible-requests.ts';
import { type RawCaller, rawCaller } from './system/raw-call.ts';
import { createScratch, reportOnFailure, type Scratch } from './system/scratch.ts';
import { ROOT, startWhole, type Whole } from './system/whole.ts';

// Every method of every service, by its descriptor, with what no honest caller sends.
const METHODS = SERVICES.flatMap(([name, service]) => service.methods.map((method) => ({ name, service, method })));

const INVALID_ARGUMENT = 3;
const RESOURCE_EXHAUSTED = 8;
/** Never an answer to a request: CANCELLED of itself, UNKNOWN, INTERNAL, DATA_LOSS, and no status at all. */
const DEFECTS = [-1, 1, 2, 13, 15];
const TIMEOUT_MS = 3_000;
const MAX_INT32 = 2_147_483_647;
const MAX_INT64 = 9_223_372_036_854_775_807n;

let scratch: Scratch;
let whole: Whole | undefined;
const callers = new Map<string, RawCaller>();

beforeAll(async () => {
  scratch = await createScratch('requests');
  whole = await startWhole({ dataDir: scratch.dataDir, args: ['--records', '50', '--converters', '1'] });
  const { services } = whole.endpoints();
  for (const [name] of SERVICES) callers.set(name, rawCaller(services[name]!.split(',')[0]!));
}, 120_000);
afterAll(async () => {
  for (const caller of callers.values()) caller.close();
  await whole?.stop();
  await scratch.remove();
});

interface Hostile {
  what: string;
  values: Values;
  /** Whether only a refusal will do. */
  refused: boolean;
}

/** The plausible request with one field, at any depth, replaced. */
function* hostile(message: DescMessage, wrap: (values: Values) => Values = (v) => v, at = ''): Generator<Hostile> {
  for (const field of message.fields) {
    const path = at + field.name;
    const withValue = (change: (values: Values) => void) => {
      const values = plausible(message);
      change(values);
      return wrap(values);
    };
    const entries: [string, unknown, boolean][] = [];
    if (field.message !== undefined) {
      yield* hostile(field.message, (inner) => withValue((values) => set(values, field, inner)), `${path}.`);
    } else if (field.enum !== undefined) {
      entries.push(['an unknown number', 12_345, true]);
    } else if (field.scalar === ScalarType.STRING) {
      entries.push(['five million characters', 'x'.repeat(5_000_000), true], ['NUL', 'a\0b', true]);
      const named = message.name === 'TableRef' || field.name === 'topic';
      for (const text of ['../../etc/passwd', 'a/../b', '..']) entries.push([text, text, named]);
      const odd = ["'; drop table ledger; --", '%00%2e%2e/', '💥\u202e', '{"a":', '(a+)+$', '* * * * *', '-1'];
      for (const text of ['', ...odd, 'y'.repeat(200)]) entries.push([text.slice(0, 20), text, false]);
    } else if (field.scalar === ScalarType.INT64) {
      entries.push(['-1', -1n, true], ['the least', -MAX_INT64 - 1n, true], ['the most', MAX_INT64, false]);
    } else if (field.scalar === ScalarType.INT32) {
      entries.push(['-1', -1, true], ['the least', -MAX_INT32 - 1, true], ['the most', MAX_INT32, false]);
    }
    for (const [what, entry, refused] of entries) {
      yield { what: `${path} = ${what}`, values: withValue((values) => set(values, field, entry)), refused };
    }
    if (field.fieldKind === 'list') {
      const many = new Array(100_001).fill(field.message === undefined ? entryOf(field) : {});
      yield { what: `${path} × 100,001`, values: withValue((v) => (v[field.localName] = many)), refused: true };
      yield { what: `${path} empty`, values: withValue((v) => (v[field.localName] = [])), refused: false };
    } else if (field.fieldKind === 'map') {
      const many = Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`k${i}`, entryOf(field)]));
      yield { what: `${path} × 10,001`, values: withValue((v) => (v[field.localName] = many)), refused: true };
    } else if (field.message !== undefined) {
      yield { what: `${path} absent`, values: withValue((v) => delete v[field.localName]), refused: false };
    }
  }
}

test('every service and method of proto/ is walked', () => {
  const folder = join(ROOT, 'proto/millrace/v1');
  const text = readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n');
  expect(SERVICES.map(([, service]) => service.name).sort()).toEqual(
    [...text.matchAll(/^service (\w+)/gm)].map((match) => match[1]).sort(),
  );
  expect(METHODS.length).toBe([...text.matchAll(/^ {2}rpc /gm)].length);
});

test.each(METHODS.map((one) => [`${one.service.name}.${one.method.name}`, one] as const))(
  '%s refuses what no request may hold, and fails at nothing',
  async (_, { name, service, method }) => {
    const caller = callers.get(name)!;
    const send = (bytes: Uint8Array) => caller.call(`/${service.typeName}/${method.name}`, bytes, TIMEOUT_MS);
    const wrong: string[] = [];
    const judge = async (what: string, bytes: Uint8Array, refused: boolean) => {
      const { status, message } = await send(bytes);
      const isRefused = status === INVALID_ARGUMENT || status === RESOURCE_EXHAUSTED;
      if (refused ? !isRefused : DEFECTS.includes(status ?? 0)) wrong.push(`${what}: ${status} ${message}`);
    };
    for (const { what, values, refused } of hostile(method.input)) await judge(what, encode(method, values), refused);
    const valid = encode(method, plausible(method.input));
    await judge('nothing', new Uint8Array(0), false);
    // A field 1 of length 100 that has 2 bytes, a group that never ends, a varint without an end, text that is not UTF-8.
    for (const bytes of [
      [10, 100, 1, 2],
      [11, 8, 1],
      [8, ...new Array(12).fill(255)],
      [0, 0],
    ])
      await judge(`bytes ${bytes}`, Uint8Array.from(bytes), true);
    await judge(
      'bytes at random',
      Uint8Array.from({ length: 999 }, (_, i) => (i * 7919) % 251),
      true,
    );
    await judge('33 MB', Buffer.concat([valid, unknownField(33 * 1024 * 1024)]), true);
    expect(wrong).toEqual([]);
  },
);

test('afterwards every service still answers, and none of them was started again', async (context) => {
  reportOnFailure(context, () => whole);
  for (const [name, caller] of callers) {
    const answer = await caller.call('/grpc.health.v1.Health/Check', new Uint8Array(0), TIMEOUT_MS);
    expect({ name, status: answer.status }).toEqual({ name, status: 0 });
  }
  expect(readFileSync(join(scratch.dataDir, 'run', 'millrace.log'), 'utf8')).not.toMatch(/a service ended/);
});

const encode = (method: DescMethod, values: Values): Uint8Array =>
  toBinary(method.input, create(method.input, values as never) as Message);

/** A field that no message has (number 1,000), of so many bytes. */
function unknownField(size: number): Uint8Array {
  const length: number[] = [];
  for (let rest = size; rest > 0; rest = Math.floor(rest / 128)) length.push(rest >= 128 ? (rest % 128) | 128 : rest);
  return Buffer.concat([Uint8Array.from([0xc2, 0x3e, ...length]), Buffer.alloc(size)]);
}
