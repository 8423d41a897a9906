import { MillraceError } from '@millrace/base';
import type { FastifyInstance } from 'fastify';
import type { IcebergCatalogConfig } from './config.ts';

type Limits = Pick<IcebergCatalogConfig, 'restRequests' | 'restBodiesBytes' | 'bodyLimitBytes'>;

/** A connection may wait for its next request, but not without end nor without number. */
const CONNECTIONS_A_REQUEST = 4;

/** Bounds the requests under way and the bytes of their bodies; more are answered 429. */
export function boundLoad(app: FastifyInstance, limits: Limits): void {
  let requests = 0;
  let bytes = 0;
  app.server.maxConnections = CONNECTIONS_A_REQUEST * limits.restRequests;
  app.addHook('onRequest', async ({ headers }, reply) => {
    const length = headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : Infinity;
    // What is longer than a body may be is refused by itself.
    const body = Math.min(length, limits.bodyLimitBytes);
    if (requests >= limits.restRequests) throw tooMuch(`${requests} requests are under way (restRequests)`);
    if (requests > 0 && bytes + body > limits.restBodiesBytes) {
      throw tooMuch(`${bytes} bytes of request bodies are under way (restBodiesBytes)`);
    }
    requests++;
    bytes += body;
    reply.raw.once('close', () => {
      requests--;
      bytes -= body;
    });
  });
}

const tooMuch = (what: string): MillraceError =>
  new MillraceError('exhausted', `${what}: try again`, { code: 'TooManyRequestsException' });
