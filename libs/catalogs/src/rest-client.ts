import { type ErrorKind, MillraceError, toMillraceError } from '@millrace/base';
import type { CatalogSettings } from './catalog-adapter.ts';
import { readToken } from './token-source.ts';

/** A LoadTable answer with `snapshots=refs` is small; anything near this size is not one. */
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;

/** What `GET /v1/config` settles for all other requests. */
interface RestConfig {
  /** "/v1/" and the prefix, if any, with a slash at its end. */
  basePath: string;
  /** Between the levels of a namespace, percent-encoded as it stands in a path. */
  namespaceSeparator: string;
  /** "POST /v1/{prefix}/…" of everything the server can do; undefined: it didn't say. */
  endpoints: ReadonlySet<string> | undefined;
}

export interface RestClient {
  config(signal: AbortSignal): Promise<RestConfig>;
  /** Sends to `basePath + path`. Resolves with the JSON body ({} when there is none); throws on any status but 2xx. */
  send(method: 'GET' | 'POST' | 'DELETE', path: string, body: unknown, signal: AbortSignal): Promise<JsonObject>;
}

type JsonObject = Record<string, unknown>;

/** The status and the server's own error type, kept in the error's context. */
export const statusOf = (error: unknown): number =>
  error instanceof MillraceError ? Number(error.context['status'] ?? 0) : 0;

/**
 * HTTP to an Iceberg REST catalog (REST spec: /v1/config, ErrorModel). One request, no retry; each has its own
 * time-out. What was learnt from /v1/config is forgotten when the server fails, so that one that was replaced is found.
 */
export function restClient(settings: CatalogSettings, requestTimeoutMs: number): RestClient {
  const root = settings.uri.replace(/\/+$/, '');
  let known: RestConfig | undefined;

  async function request(method: string, url: string, body: unknown, signal: AbortSignal): Promise<JsonObject> {
    const token = await readToken(settings.tokenSource);
    const timeout = AbortSignal.timeout(requestTimeoutMs);
    let status: number;
    let text: string;
    try {
      const response = await fetch(url, {
        method,
        headers: {
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.any([signal, timeout]),
      });
      status = response.status;
      text = await readBounded(response);
    } catch (error) {
      known = undefined;
      if (error instanceof MillraceError) throw error;
      if (signal.aborted) throw toMillraceError(signal.reason);
      const reason = timeout.aborted
        ? `no answer within ${requestTimeoutMs} ms`
        : ((error as Error).cause instanceof Error && ((error as Error).cause as Error).message) ||
          (error as Error).message;
      throw new MillraceError(
        timeout.aborted ? 'deadline' : 'unavailable',
        `${method} ${url}: ${reason}; is the catalog running and its address right?`,
        { code: 'catalog-unreachable', cause: error },
      );
    }
    if (status < 200 || status > 299) {
      if (status >= 500) known = undefined;
      throw answerError(method, url, status, text);
    }
    if (text === '') return {};
    try {
      const value = JSON.parse(text) as unknown;
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
    } catch {
      // said below
    }
    throw new MillraceError('corrupt', `${method} ${url}: the answer is not a JSON object: ${excerpt(text)}`, {
      code: 'catalog-answer-invalid',
    });
  }

  async function config(signal: AbortSignal): Promise<RestConfig> {
    if (known !== undefined) return known;
    const query = settings.warehouse === '' ? '' : `?warehouse=${encodeURIComponent(settings.warehouse)}`;
    const answer = await request('GET', `${root}/v1/config${query}`, undefined, signal);
    const values: JsonObject = { ...(answer['defaults'] as JsonObject), ...(answer['overrides'] as JsonObject) };
    const prefix = String(values['prefix'] ?? '').replace(/^\/+|\/+$/g, '');
    const endpoints = answer['endpoints'];
    known = {
      basePath: prefix === '' ? '/v1/' : `/v1/${prefix}/`,
      namespaceSeparator: String(values['namespace-separator'] ?? '%1F'),
      endpoints: Array.isArray(endpoints) ? new Set(endpoints.map(String)) : undefined,
    };
    return known;
  }

  return {
    config,
    async send(method, path, body, signal) {
      const { basePath } = await config(signal);
      return await request(method, root + basePath + path, body, signal);
    },
  };
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_RESPONSE_BYTES) {
      throw new MillraceError('corrupt', `the answer of ${response.url} is larger than ${MAX_RESPONSE_BYTES} bytes`, {
        code: 'catalog-answer-invalid',
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const KIND_BY_STATUS: Record<number, ErrorKind> = {
  400: 'invalid',
  401: 'unauthenticated',
  403: 'permission',
  404: 'not-found',
  405: 'unsupported',
  406: 'unsupported',
  408: 'deadline',
  409: 'conflict',
  419: 'unauthenticated',
  422: 'invalid',
  429: 'exhausted',
  501: 'unsupported',
};

function answerError(method: string, url: string, status: number, text: string): MillraceError {
  let type = '';
  let message = excerpt(text);
  try {
    const { error } = JSON.parse(text) as { error: { message?: string; type?: string } };
    type = String(error.type ?? '');
    message = excerpt(String(error.message ?? ''));
  } catch {
    // Not an ErrorModel: a proxy or another kind of server answered.
  }
  const kind = KIND_BY_STATUS[status] ?? (status >= 500 ? 'unavailable' : 'invalid');
  return new MillraceError(kind, `${method} ${url} was answered ${status} ${type}: ${message}`, {
    code: 'catalog-refused',
    context: { status, type },
  });
}

const excerpt = (text: string): string => (text.length > 300 ? `${text.slice(0, 300)}…` : text) || '(empty)';
