import { MillraceError, retry, toMillraceError } from '@millrace/base';
import {
  type RegisteredSchema,
  type SchemaLanguage,
  type SchemaSource,
  unknownId,
  unknownSubject,
} from './schema-source.ts';
import { selfContained } from './schema-text.ts';

export interface RegistryOptions {
  auth?: { kind: 'basic'; username: string; password: string } | { kind: 'bearer'; token: string };
  /** Of one request. Default 10,000. */
  timeoutMs?: number;
  /** Tries after the first when the registry does not answer. Default 4. */
  retries?: number;
  /** The largest answer that is read. Default 8 MB. */
  maxBytes?: number;
}

const MAX_KEPT = 10_000;
const MAX_REFERENCES = 500;

/**
 * A Confluent-compatible schema registry: GET /schemas/ids/{id}, /subjects/{s}/versions, /subjects/{s}/versions/{v}.
 * Referenced schemas are fetched and written into the text. Requests are repeated while the registry does not answer
 * (also 429 and 5xx). A user and password in the URL are taken as basic auth; they appear in no message.
 */
export function registrySchemaSource(url: string, options: RegistryOptions = {}): SchemaSource {
  const registry = openRegistry(url, options);
  const known = new Map<number, Promise<RegisteredSchema>>();
  const inSubject = async (subject: string, version: string, signal?: AbortSignal): Promise<RegisteredSchema> => {
    const answer = await registry.get(`subjects/${encodeURIComponent(subject)}/versions/${version}`, signal);
    if (answer === undefined) throw unknownSubject(subject, registry.name);
    const id = integer(answer['id'], registry, 'an id');
    const number = integer(answer['version'], registry, 'a version');
    return { id, ...(await inlined(registry, answer, signal)), subject, version: number };
  };
  return {
    byId(id) {
      // Shared by all who ask: one of them giving up must not fail the others.
      let found = known.get(id);
      if (!found) {
        found = fetchById(registry, id);
        // What failed is asked for again next time. The oldest goes when there are too many.
        found.catch(() => known.delete(id));
        known.set(id, found);
        if (known.size > MAX_KEPT) known.delete(known.keys().next().value!);
      }
      return found;
    },
    latest: (subject, signal) => inSubject(subject, 'latest', signal),
    async versions(subject, signal) {
      const answer = await registry.get(`subjects/${encodeURIComponent(subject)}/versions`, signal);
      if (answer === undefined) throw unknownSubject(subject, registry.name);
      if (!Array.isArray(answer)) throw registry.garbled('a list of versions');
      const numbers = answer.map((version) => integer(version, registry, 'a version')).sort((a, b) => a - b);
      const schemas: RegisteredSchema[] = [];
      for (const number of numbers) schemas.push(await inSubject(subject, String(number), signal));
      return schemas;
    },
  };
}

async function fetchById(registry: Registry, id: number): Promise<RegisteredSchema> {
  const answer = await registry.get(`schemas/ids/${id}`);
  if (answer === undefined) throw unknownId(id, registry.name);
  return { id, ...(await inlined(registry, answer)) };
}

type Answer = Record<string, unknown>;

const LANGUAGES: Record<string, SchemaLanguage> = { AVRO: 'avro', PROTOBUF: 'protobuf', JSON: 'json' };

async function inlined(
  registry: Registry,
  answer: Answer,
  signal?: AbortSignal,
): Promise<{ type: SchemaLanguage; text: string }> {
  const { type, text } = schemaOf(registry, answer);
  const references = new Map<string, string>();
  await collect(registry, answer, references, new Set(), signal);
  return { type, text: selfContained(type, text, references) };
}

// Those that a schema needs come before it: the map keeps that order.
async function collect(
  registry: Registry,
  answer: Answer,
  found: Map<string, string>,
  open: Set<string>,
  signal?: AbortSignal,
): Promise<void> {
  const references = answer['references'] ?? [];
  if (!Array.isArray(references)) throw registry.garbled('a list of references');
  for (const reference of references as Answer[]) {
    const { name, subject } = reference ?? {};
    if (typeof name !== 'string' || typeof subject !== 'string') throw registry.garbled('the subject of a reference');
    const version = integer(reference['version'], registry, 'the version of a reference');
    const key = JSON.stringify([name, subject, version]);
    if (open.has(key)) continue;
    open.add(key);
    if (open.size > MAX_REFERENCES)
      throw new MillraceError(
        'unsupported',
        `A schema in ${registry.name} refers to more than ${MAX_REFERENCES} others`,
        { code: 'schema-references' },
      );
    const referenced = await registry.get(`subjects/${encodeURIComponent(subject)}/versions/${version}`, signal);
    if (referenced === undefined) throw unknownSubject(`${subject} version ${version}`, registry.name);
    await collect(registry, referenced, found, open, signal);
    if (!found.has(name)) found.set(name, schemaOf(registry, referenced).text);
  }
}

function schemaOf(registry: Registry, answer: Answer): { type: SchemaLanguage; text: string } {
  const named = String(answer['schemaType'] ?? 'AVRO');
  const type = LANGUAGES[named];
  if (type === undefined)
    throw new MillraceError(
      'unsupported',
      `${registry.name} has a ${named} schema here: Avro, Protobuf and JSON are read`,
      {
        code: 'schema-type',
      },
    );
  if (typeof answer['schema'] !== 'string') throw registry.garbled('the schema');
  return { type, text: answer['schema'] };
}

function integer(value: unknown, registry: Registry, what: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value)) throw registry.garbled(what);
  return value;
}

interface Registry {
  name: string;
  /** The answer's JSON; undefined for 404. */
  get(path: string, signal?: AbortSignal): Promise<Answer | undefined>;
  garbled(what: string): MillraceError;
}

function openRegistry(url: string, options: RegistryOptions): Registry {
  const base = parseUrl(url);
  const authorization = authorizationOf(base, options.auth);
  base.username = '';
  base.password = '';
  const root = base.href.replace(/\/*$/, '/');
  const name = `The schema registry ${root}`;
  const garbled = (what: string) =>
    new MillraceError('corrupt', `${name} answered without ${what}: is it a schema registry?`, {
      code: 'registry-answer',
    });
  const request = async (path: string, signal?: AbortSignal): Promise<Answer | undefined> => {
    const timeout = AbortSignal.timeout(options.timeoutMs ?? 10_000);
    let response: Response;
    try {
      response = await fetch(root + path, {
        headers: {
          accept: 'application/vnd.schemaregistry.v1+json, application/json',
          ...(authorization ? { authorization } : {}),
        },
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
      if (response.status === 404) return undefined;
      if (!response.ok) throw statusError(name, path, response);
      return JSON.parse(await readText(response, options.maxBytes ?? 8 * 1024 * 1024, name)) as Answer;
    } catch (error) {
      throw requestError(error, name, path, signal);
    }
  };
  return {
    name,
    garbled,
    async get(path, signal) {
      const answer = await retry(() => request(path, signal), { retries: options.retries ?? 4, signal });
      if (answer !== undefined && (typeof answer !== 'object' || answer === null)) throw garbled('an object');
      return answer;
    },
  };
}

function parseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return parsed;
  throw new MillraceError('invalid', 'The schema registry address must be a URL such as https://registry:8081', {
    code: 'registry-url',
  });
}

function authorizationOf(url: URL, auth: RegistryOptions['auth']): string | undefined {
  if (auth?.kind === 'bearer') return `Bearer ${auth.token}`;
  const user = auth ? auth.username : decodeURIComponent(url.username);
  const password = auth ? auth.password : decodeURIComponent(url.password);
  return user === '' ? undefined : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

function statusError(name: string, path: string, response: Response): MillraceError {
  const context = { status: response.status, path };
  if (response.status === 401)
    return new MillraceError('unauthenticated', `${name} asks for credentials (401)`, {
      code: 'registry-auth',
      context,
    });
  if (response.status === 403)
    return new MillraceError('permission', `${name} refuses these credentials (403)`, {
      code: 'registry-auth',
      context,
    });
  const passing = response.status === 429 || response.status >= 500;
  return new MillraceError(passing ? 'unavailable' : 'invalid', `${name} answered ${response.status} to ${path}`, {
    code: 'registry-answer',
    context,
  });
}

function requestError(error: unknown, name: string, path: string, signal?: AbortSignal): MillraceError {
  if (error instanceof MillraceError) return error;
  if (signal?.aborted)
    return new MillraceError('cancelled', `The question to ${name} was cancelled`, { context: { path }, cause: error });
  if (error instanceof SyntaxError)
    return new MillraceError('corrupt', `${name} did not answer with JSON: is it a schema registry?`, {
      code: 'registry-answer',
      context: { path },
    });
  const reason = toMillraceError((error as Error).cause ?? error).message;
  return new MillraceError('unavailable', `${name} does not answer: ${reason}`, {
    code: 'registry-unavailable',
    context: { path },
    cause: error,
  });
}

async function readText(response: Response, maxBytes: number, name: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > maxBytes)
      throw new MillraceError('exhausted', `${name} answered with more than ${maxBytes} bytes`, {
        code: 'registry-answer',
        retryable: false,
      });
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
