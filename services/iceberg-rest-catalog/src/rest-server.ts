import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:https';
import { isLoopback, keepSecret, MillraceError, toMillraceError, usesTls, watchCertificates } from '@millrace/base';
import { parseJson, stringifyJson } from '@millrace/iceberg';
import { httpStatusOf } from '@millrace/rpc';
import { failSpan, type Logger, record, withSpan } from '@millrace/telemetry';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { IcebergCatalogConfig } from './config.ts';
import { boundLoad } from './rest-load.ts';

export interface RestServer {
  app: FastifyInstance;
  /** http://host:port as bound. */
  uri: string;
  stop(): Promise<void>;
}

/** What a handler answers: a body, or nothing (204). */
export interface RestAnswer {
  status?: number;
  headers?: Record<string, string>;
  body?: unknown;
}

export type RestHandler = (request: RestRequest) => Promise<RestAnswer>;

export interface RestRequest {
  params: Record<string, string>;
  query: Record<string, string | undefined>;
  headers: Record<string, string | undefined>;
  body: unknown;
}

export type Route = [method: 'GET' | 'HEAD' | 'POST' | 'DELETE', path: string, handler: RestHandler];

/**
 * Listens and serves the routes: JSON without loss of 64-bit numbers, the error model, and the token where there is one.
 * With certificates it is HTTPS; engines show a token rather than a certificate.
 */
export async function startRest(config: IcebergCatalogConfig, routes: Route[], logger: Logger): Promise<RestServer> {
  const token = readToken(config);
  const certificates = watchRestCertificates(config, () => app, logger);
  const app = fastify({
    ...(certificates && { https: certificates.current() }),
    bodyLimit: config.bodyLimitBytes,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 4_000 },
    forceCloseConnections: 'idle',
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, text, done) => {
    try {
      done(null, text === '' ? undefined : parseBody(String(text)));
    } catch (error) {
      done(error as Error);
    }
  });
  boundLoad(app, config);
  app.addHook('onRequest', async (request) => checkToken(request, token));
  app.setErrorHandler((thrown, _request, reply) => {
    const { status, type, error } = describeError(thrown);
    if (status >= 500) logger.error({ error }, 'REST request failed');
    const body = { error: { message: error.message, type, code: status } };
    return reply.code(status).type('application/json').send(JSON.stringify(body));
  });
  app.setNotFoundHandler((request, reply) => {
    const message = `No route for ${request.method} ${request.url.split('?')[0]}`;
    const body = { error: { message, type: 'NoSuchEndpointException', code: 404 } };
    return reply.code(404).type('application/json').send(JSON.stringify(body));
  });
  app.addHook('onResponse', async (request, reply) => {
    record('http.server.request.duration', reply.elapsedTime / 1e3, {
      'http.request.method': request.method,
      // Never the path itself: there is one for each table.
      'http.route': request.routeOptions.url ?? 'unknown',
      'http.response.status_code': String(reply.statusCode),
    });
  });
  for (const [method, url, handler] of routes) {
    app.route({
      method,
      url,
      handler: async (request, reply) => {
        const answer = await withSpan(`${method} ${url}`, {}, (span) =>
          handler(request as unknown as RestRequest).catch((error) => {
            failSpan(span, error);
            throw error;
          }),
        );
        reply.code(answer.status ?? (answer.body === undefined ? 204 : 200)).headers(answer.headers ?? {});
        if (answer.body === undefined) return reply.send();
        return reply.type('application/json').send(stringifyJson(answer.body));
      },
    });
  }
  try {
    const uri = await app.listen({ host: config.restHost, port: config.restPort });
    return { app, uri, stop: () => stopWithin(app, config.drainMs).finally(certificates?.stop) };
  } catch (error) {
    certificates?.stop();
    throw new MillraceError(
      'unavailable',
      `the REST API can't listen on ${config.restHost}:${config.restPort}: ${(error as Error).message}; choose another restPort`,
      { code: 'listen-failed', retryable: false, cause: error },
    );
  }
}

function watchRestCertificates(config: IcebergCatalogConfig, app: () => FastifyInstance, logger: Logger) {
  const { restCertificateFile, restKeyFile = config.tlsKeyFile } = config;
  // Nobody's certificate is asked for, so which authority stands there does not matter.
  const own = {
    tlsCertificateFile: restCertificateFile,
    tlsKeyFile: restKeyFile,
    tlsAuthorityFile: restCertificateFile,
  };
  const settings = restCertificateFile === undefined ? config : { ...config, ...own };
  if (!usesTls(settings, 'the REST API listens on', [config.restHost])) return undefined;
  return watchCertificates(
    settings,
    ({ cert, key }) => (app().server as Server).setSecureContext({ cert, key }),
    (error) => logger.error({ error }, 'new certificates of the REST API are of no use; the former ones stay'),
  );
}

async function stopWithin(app: FastifyInstance, drainMs: number): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), drainMs);
  await app.close();
  clearTimeout(cut);
}

function readToken(config: Pick<IcebergCatalogConfig, 'restHost' | 'tokenSource'>): string | undefined {
  if (config.tokenSource === undefined) {
    if (isLoopback(config.restHost)) return undefined;
    throw new MillraceError(
      'invalid',
      `restHost ${config.restHost} is not loopback, so the REST API needs a token: set tokenSource to env:NAME or file:PATH`,
      { code: 'token-required', context: { key: 'tokenSource' } },
    );
  }
  const [, kind, place] = /^(env|file):(.+)$/.exec(config.tokenSource)!;
  const token = kind === 'env' ? process.env[place!] : readFileSync(place!, 'utf8').trim();
  if (token === undefined || token === '') {
    throw new MillraceError('invalid', `tokenSource ${config.tokenSource} holds no token`, { code: 'token-required' });
  }
  keepSecret(token);
  return token;
}

function checkToken(request: FastifyRequest, token: string | undefined): void {
  if (token === undefined) return;
  const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  if (!timingSafeEqual(digest(given), digest(token))) {
    throw new MillraceError('unauthenticated', 'Not authorized: a valid bearer token is needed', {
      code: 'NotAuthorizedException',
    });
  }
}

function parseBody(text: string): unknown {
  try {
    return parseJson(text, 'the request body');
  } catch (error) {
    throw new MillraceError('invalid', (error as Error).message, { code: 'BadRequestException' });
  }
}

const TYPE_BY_STATUS: Record<number, string> = {
  400: 'BadRequestException',
  401: 'NotAuthorizedException',
  403: 'ForbiddenException',
  404: 'NotFoundException',
  406: 'UnsupportedOperationException',
  409: 'CommitFailedException',
  413: 'BadRequestException',
  429: 'TooManyRequestsException',
  503: 'ServiceUnavailableException',
};

/** Where the specification's status is not that of the error's kind. */
const STATUS_BY_TYPE: Record<string, number> = { UnprocessableEntityException: 422 };

/** The error model: codes that are Iceberg exception names are the type, other errors have the type of their status. */
function describeError(thrown: unknown): { status: number; type: string; error: MillraceError } {
  const fastifyStatus = (thrown as { statusCode?: number }).statusCode;
  const error = toMillraceError(thrown);
  const status = fastifyStatus ?? STATUS_BY_TYPE[error.code] ?? httpStatusOf(error.kind);
  const type = /^[A-Z]\w+Exception$/.test(error.code) ? error.code : (TYPE_BY_STATUS[status] ?? 'InternalServerError');
  return { status, type, error };
}
