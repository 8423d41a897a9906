import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parseAvroSchema } from './avro-parse.ts';
import { deriveTableSchema } from './derive.ts';
import { folderSchemaSource } from './folder-source.ts';
import { parseJsonSchema } from './json-parse.ts';
import { parseProtobufSchema } from './protobuf-file.ts';
import { registrySchemaSource } from './registry-source.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function folder(): { dir: string; write(path: string, text: string): void } {
  const dir = mkdtempSync(join(tmpdir(), 'schemas-'));
  cleanups.push(() => rmSync(dir, { recursive: true }));
  return {
    dir,
    write(path, text) {
      mkdirSync(join(dir, path, '..'), { recursive: true });
      writeFileSync(join(dir, path), text);
    },
  };
}

describe('folderSchemaSource', () => {
  it('finds schemas by id, newest and all versions, also those that come later', async () => {
    const { dir, write } = folder();
    const source = folderSchemaSource(dir);
    await expect(source.latest('orders-value')).rejects.toMatchObject({ kind: 'not-found', code: 'unknown-subject' });
    write('orders-value/2-17.avsc', '"int"');
    write('orders-value/10-3.avsc', '"long"');
    write('orders-value/README', 'passed over');
    expect(await source.latest('orders-value')).toEqual({
      id: 3,
      type: 'avro',
      text: '"long"',
      subject: 'orders-value',
      version: 10,
    });
    expect((await source.versions('orders-value')).map((schema) => schema.id)).toEqual([17, 3]);
    expect((await source.byId(17)).text).toBe('"int"');
    await expect(source.byId(99)).rejects.toMatchObject({ kind: 'not-found', code: 'unknown-schema-id' });
    write('payments-value/1-99.avsc', '"string"');
    expect((await source.byId(99)).text).toBe('"string"');
    await expect(source.latest('../orders-value')).rejects.toMatchObject({ code: 'unknown-subject' });
  });

  it('has Protobuf with what it imports, and JSON Schema', async () => {
    const { dir, write } = folder();
    const source = folderSchemaSource(dir);
    write('a-value/1-5.proto', 'syntax = "proto3"; import "b/c.proto"; message A { b.C c = 1; }');
    await expect(source.byId(5)).rejects.toThrow(/a-value\/1-5\.proto: .*imports b\/c\.proto/);
    write('a-value/imports/b/c.proto', 'syntax = "proto3"; package b; message C { int32 n = 1; }');
    write('j-value/1-6.json', '{"type": "integer"}');
    const protobuf = await source.byId(5);
    expect(protobuf.type).toBe('protobuf');
    expect([...parseProtobufSchema(protobuf.text).types.keys()]).toEqual(['A', 'b.C']);
    expect(await source.latest('j-value')).toMatchObject({ id: 6, type: 'json', text: '{"type": "integer"}' });
  });

  it('names files with a wrong name, without a schema, or with an id that has another meaning', async () => {
    const { dir, write } = folder();
    const source = folderSchemaSource(dir);
    write('a/v1.avsc', '"int"');
    await expect(source.latest('a')).rejects.toThrow(/a\/v1\.avsc is not named <version>-<id>\.avsc/);
    write('b/1-5.avsc', '{"type":"nope"}');
    await expect(source.latest('b')).rejects.toThrow(/b\/1-5\.avsc: .*"nope"/);
    write('c/1-6.avsc', '"int"');
    write('c/2-6.avsc', '"long"');
    await expect(source.versions('c')).rejects.toMatchObject({ code: 'schema-id-reused' });
  });
});

type Answers = Record<string, unknown>;

async function registry(
  answers: Answers,
  before?: (path: string, headers: NodeJS.Dict<string | string[]>) => number | undefined,
) {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    asked.push(request.url!);
    const status = before?.(request.url!, request.headers) ?? (request.url! in answers ? 200 : 404);
    const answer = answers[request.url!];
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? { error_code: 40403 }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  cleanups.push(() => server.closeAllConnections());
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe('registrySchemaSource', () => {
  it('asks once for an id, and writes references into the text', async () => {
    const money = { schema: '{"type":"record","name":"b.Money","fields":[{"name":"cents","type":"long"}]}' };
    const price = {
      schema: '{"type":"record","name":"b.Price","fields":[{"name":"net","type":"b.Money"}]}',
      references: [{ name: 'b.Money', subject: 'money/x', version: 1 }],
    };
    const { url, asked } = await registry({
      '/schemas/ids/7': {
        schema: '{"type":"record","name":"A","fields":[{"name":"p","type":"b.Price"},{"name":"m","type":"b.Money"}]}',
        references: [
          { name: 'b.Price', subject: 'price', version: 3 },
          { name: 'b.Money', subject: 'money/x', version: 1 },
        ],
      },
      '/subjects/price/versions/3': price,
      '/subjects/money%2Fx/versions/1': money,
      '/subjects/t-value/versions': [2, 1],
      '/subjects/t-value/versions/1': { id: 4, version: 1, schema: '"int"' },
      '/subjects/t-value/versions/2': { id: 5, version: 2, schema: '"long"' },
      '/subjects/t-value/versions/latest': { id: 5, version: 2, schema: '"long"', schemaType: 'AVRO' },
    });
    const source = registrySchemaSource(url);
    const [schema] = await Promise.all([source.byId(7), source.byId(7)]);
    expect(asked.filter((path) => path === '/schemas/ids/7')).toHaveLength(1);
    expect(parseAvroSchema(schema!.text)).toMatchObject({
      fields: [{ type: { fullName: 'b.Price' } }, { type: { fullName: 'b.Money' } }],
    });
    expect(await source.latest('t-value')).toEqual({
      id: 5,
      type: 'avro',
      text: '"long"',
      subject: 't-value',
      version: 2,
    });
    expect((await source.versions('t-value')).map((version) => version.id)).toEqual([4, 5]);
    await expect(source.byId(8)).rejects.toMatchObject({ kind: 'not-found', code: 'unknown-schema-id' });
    await expect(source.latest('none')).rejects.toMatchObject({ kind: 'not-found', code: 'unknown-subject' });
  });

  it('has Protobuf with its imports and JSON with its references in one text', async () => {
    const ref = (name: string) => ({ name, subject: name, version: 1 });
    const { url } = await registry({
      '/schemas/ids/1': {
        schemaType: 'PROTOBUF',
        schema: 'syntax = "proto3"; import "b/price.proto"; message Order { b.Price price = 1; }',
        references: [ref('b/price.proto')],
      },
      '/subjects/b%2Fprice.proto/versions/1': {
        schemaType: 'PROTOBUF',
        schema: 'syntax = "proto3"; package b; import "money.proto"; message Price { Money sum = 1; }',
        references: [ref('money.proto')],
      },
      '/subjects/money.proto/versions/1': {
        schemaType: 'PROTOBUF',
        schema: 'syntax = "proto3"; message Money { int64 units = 1; }',
      },
      '/schemas/ids/2': {
        schemaType: 'JSON',
        schema: '{"type": "object", "properties": {"at": {"$ref": "at.json"}}}',
        references: [ref('at.json')],
      },
      '/subjects/at.json/versions/1': { schemaType: 'JSON', schema: '{"type": "string", "format": "date"}' },
    });
    const source = registrySchemaSource(url);
    const protobuf = await source.byId(1);
    expect(protobuf.type).toBe('protobuf');
    const [message] = parseProtobufSchema(protobuf.text).messages;
    expect(message).toMatchObject({
      fullName: 'Order',
      fields: [{ type: { fields: [{ type: { fullName: 'Money' } }] } }],
    });
    const json = await source.byId(2);
    expect(json.type).toBe('json');
    const { fields } = deriveTableSchema({
      value: { encoding: 'json', schema: parseJsonSchema(json.text) },
      key: { encoding: 'none' },
    });
    expect(fields[0]).toMatchObject({ name: 'at', type: { kind: 'date' } });
  });

  it('tries again while the registry fails in passing, and only then', async () => {
    let failures = 2;
    const { url, asked } = await registry({ '/schemas/ids/1': { schema: '"int"' } }, (path) =>
      path.endsWith('/2') ? 422 : failures-- > 0 ? 503 : undefined,
    );
    const source = registrySchemaSource(url);
    expect((await source.byId(1)).text).toBe('"int"');
    expect(asked).toHaveLength(3);
    await expect(source.byId(2)).rejects.toMatchObject({ kind: 'invalid', code: 'registry-answer' });
    expect(asked).toHaveLength(4);
  });

  it('gives credentials to the registry and to nobody else', async () => {
    const seen: unknown[] = [];
    const { url } = await registry({}, (_path, headers) => {
      seen.push(headers['authorization']);
      return 401;
    });
    const withPassword = url.replace('http://', 'http://me:s%20cret@');
    for (const source of [
      registrySchemaSource(withPassword),
      registrySchemaSource(url, { auth: { kind: 'bearer', token: 's cret' } }),
    ]) {
      const error = await source.byId(1).catch((thrown) => thrown);
      expect(error).toMatchObject({ kind: 'unauthenticated', code: 'registry-auth' });
      expect(JSON.stringify([error.message, error.context])).not.toMatch(/s(%20| )cret/);
    }
    expect(seen).toEqual([`Basic ${Buffer.from('me:s cret').toString('base64')}`, 'Bearer s cret']);
  });

  it('says clearly when it is no registry, answers too much, has another type or is not there', async () => {
    const { url } = await registry({
      '/schemas/ids/1': 'hello',
      '/schemas/ids/2': { no: 1 },
      '/schemas/ids/3': { schema: 'x'.repeat(2000) },
      '/schemas/ids/4': { schema: '{}', schemaType: 'XML' },
    });
    const source = registrySchemaSource(url, { maxBytes: 1000, retries: 0 });
    await expect(source.byId(1)).rejects.toThrow(/did not answer with JSON/);
    await expect(source.byId(2)).rejects.toThrow(/without the schema/);
    await expect(source.byId(3)).rejects.toMatchObject({ kind: 'exhausted' });
    await expect(source.byId(4)).rejects.toMatchObject({ kind: 'unsupported', code: 'schema-type' });
    await expect(registrySchemaSource('http://127.0.0.1:1', { retries: 0 }).byId(1)).rejects.toMatchObject({
      kind: 'unavailable',
      retryable: true,
    });
    expect(() => registrySchemaSource('file:///x')).toThrow(/must be a URL/);
  });
});
