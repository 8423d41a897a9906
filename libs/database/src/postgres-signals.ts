import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import type pg from 'pg';
import type { PostgresUrl } from './postgres-url.ts';
import type { SignalTransport } from './signals.ts';

const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 5_000;
/** How often the listening connection is tried: a network that swallows everything ends none. */
const PROBE_MS = 15_000;
const TIMEOUT_MS = 10_000;
/** A notification's payload ends below 8,000 bytes (PostgreSQL documentation, NOTIFY). */
const PAYLOAD_LENGTH = 7_000;

/**
 * Signals over LISTEN and NOTIFY: a channel for each schema, one connection of its own to listen, made again when it is
 * lost. What this process sends comes back to it and is left out.
 */
export function postgresSignals<S>(url: PostgresUrl, db: Kysely<S>): SignalTransport {
  const channel = `millrace_${url.schema}`.slice(0, 63);
  const own = randomBytes(6).toString('hex');
  const closing = new AbortController();
  let listening: Promise<void> | undefined;

  async function listen(onMessage: (message: string | undefined) => void): Promise<void> {
    const { default: driver } = await import('pg');
    for (let failures = 0; !closing.signal.aborted; failures++) {
      const client = new driver.Client({
        connectionString: url.connectionString,
        application_name: 'millrace signals',
        connectionTimeoutMillis: TIMEOUT_MS,
        query_timeout: TIMEOUT_MS,
        keepAlive: true,
      });
      try {
        await hear(
          client,
          (payload) => {
            const [from, ...messages] = payload.split('\n');
            if (from !== own) for (const message of messages) onMessage(message);
          },
          () => {
            failures = 0;
            // Also the first time: what was sent before is not heard.
            onMessage(undefined);
          },
        );
      } catch {
        // It is made again.
      }
      client.end().catch(() => {});
      const pauseMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures, 10), LAST_RETRY_MS);
      await sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => {});
    }
  }

  /** Until the connection is lost or closed. */
  async function hear(client: pg.Client, onPayload: (payload: string) => void, onListening: () => void): Promise<void> {
    const lost = new AbortController();
    const end = () => lost.abort();
    client.on('error', end).on('end', end);
    client.on('notification', ({ payload }) => onPayload(payload ?? ''));
    closing.signal.addEventListener('abort', end, { once: true });
    try {
      await client.connect();
      await client.query(`listen "${channel}"`);
      onListening();
      while (!lost.signal.aborted) {
        await sleep(PROBE_MS, undefined, { signal: lost.signal });
        await client.query('select 1');
      }
    } finally {
      closing.signal.removeEventListener('abort', end);
    }
  }

  return {
    async send(messages) {
      let payload = own;
      const payloads: string[] = [];
      for (const message of messages) {
        if (Buffer.byteLength(payload) + Buffer.byteLength(message) > PAYLOAD_LENGTH) {
          payloads.push(payload);
          payload = own;
        }
        payload += `\n${message}`;
      }
      payloads.push(payload);
      for (const text of payloads) await sql`select pg_notify(${channel}, ${text})`.execute(db);
    },
    open(onMessage) {
      listening = listen(onMessage);
    },
    async close() {
      closing.abort();
      await listening;
    },
  };
}
