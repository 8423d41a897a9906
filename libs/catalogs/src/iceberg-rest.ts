import { formatTableName, isKind, MillraceError, type RetryOptions, retry, type TableName } from '@millrace/base';
import type { CatalogAdapter, CatalogSettings, Published } from './catalog-adapter.ts';
import { type RestClient, restClient, statusOf } from './rest-client.ts';

export interface IcebergRestOptions {
  /** Of one HTTP request. */
  requestTimeoutMs: number;
  /** Of a whole publish, describe, withdraw or check, retries included. */
  budgetMs: number;
  retry: Pick<RetryOptions, 'retries' | 'minDelayMs' | 'maxDelayMs'>;
}

const DEFAULTS: IcebergRestOptions = {
  requestTimeoutMs: 30_000,
  budgetMs: 120_000,
  retry: { retries: 4, minDelayMs: 200, maxDelayMs: 5_000 },
};

const REGISTER = 'POST /v1/{prefix}/namespaces/{namespace}/register';

interface SeenTable {
  pointer: string;
  location: string;
}

/**
 * A table whose metadata file is gone, because our catalog went on while this one could not be reached: servers answer
 * 404 for it as for no table at all, but with the type of the file's error.
 */
type Lookup = SeenTable | 'broken' | undefined;

/**
 * Another Iceberg REST catalog. REST has no call that sets the pointer of a table that exists, except a register with
 * `overwrite` (since 1.11, and few servers have it): where that is refused (406, 400, 501) or not known (409), the
 * table is dropped without purge and registered again, and should that fail, its old pointer is put back.
 */
export function icebergRestCatalog(
  settings: CatalogSettings,
  options: Partial<IcebergRestOptions> = {},
): CatalogAdapter {
  const { requestTimeoutMs, budgetMs, retry: retryOptions } = { ...DEFAULTS, ...options };
  const client = restClient(settings, requestTimeoutMs);
  let overwriteRefused = false;

  /** Runs an idempotent call with retries inside the budget; errors name the catalog and the table. */
  async function attempt<T>(
    table: TableName | undefined,
    outer: AbortSignal | undefined,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const budget = AbortSignal.timeout(budgetMs);
    const signal = outer === undefined ? budget : AbortSignal.any([outer, budget]);
    let last: MillraceError | undefined;
    try {
      return await retry(() => call(signal), { ...retryOptions, signal, onRetry: (error) => (last = error) });
    } catch (thrown) {
      const error = budget.aborted && last !== undefined ? last : (thrown as MillraceError);
      const about = table === undefined ? '' : `, table ${formatTableName(table)}`;
      throw new MillraceError(error.kind, `catalog ${settings.name}${about}: ${error.message}`, {
        code: error.code,
        retryable: error.retryable,
        context: {
          ...error.context,
          catalog: settings.name,
          ...(table === undefined ? {} : { table: formatTableName(table) }),
        },
        cause: error,
      });
    }
  }

  async function publishOnce(
    place: Place,
    pointer: string,
    previous: string | undefined,
    dropped: (was: string) => void,
  ) {
    const seen = await load(client, place, place.signal);
    if (seen !== undefined && seen !== 'broken' && seen.pointer === pointer) {
      return { action: 'unchanged', replacedPointer: pointer } as const;
    }
    if (seen === undefined || seen === 'broken') {
      // What we published and nobody can load is ours to replace.
      if (seen === 'broken' && previous !== undefined) await drop(client, place);
      await ensureNamespace(client, place);
      await register(client, place, pointer, false);
    } else {
      refuseForeign(seen, pointer, previous);
      if (overwriteRefused || !(await overwrite(pointer, place))) {
        await drop(client, place);
        dropped(seen.pointer);
        await register(client, place, pointer, false);
      }
    }
    const after = await load(client, place, place.signal);
    if (pointerOf(after) !== pointer) {
      throw new MillraceError(
        'conflict',
        `the catalog accepted ${pointer} and shows ${pointerOf(after) ?? 'no such table'}: does something else write this table there?`,
        { code: 'catalog-read-back' },
      );
    }
    return { action: seen === undefined ? 'registered' : 'moved', replacedPointer: pointerOf(seen) } as const;
  }

  async function overwrite(pointer: string, place: Place): Promise<boolean> {
    try {
      await register(client, place, pointer, true);
      return true;
    } catch (error) {
      if (![400, 406, 409, 501].includes(statusOf(error))) throw error;
      // 400 and 409 may have been about this one request; 406 and 501 are about the server.
      overwriteRefused = [406, 501].includes(statusOf(error));
      return false;
    }
  }

  return {
    settings,
    check: (outer) =>
      attempt(undefined, outer, async (signal) => {
        const { endpoints } = await client.config(signal);
        if (endpoints !== undefined && !endpoints.has(REGISTER)) {
          throw new MillraceError('unsupported', `${settings.uri} can't register tables: it lists no "${REGISTER}"`, {
            code: 'catalog-register',
          });
        }
        await client.send('GET', 'namespaces?pageSize=1', undefined, signal);
      }),
    describe: (table, outer) =>
      attempt(table, outer, async (signal) => pointerOf(await load(client, placeOf(settings, table, signal), signal))),
    async publish(table, pointer, previous, outer): Promise<Published> {
      let dropped: string | undefined;
      try {
        const done = await attempt(table, outer, (signal) =>
          publishOnce(placeOf(settings, table, signal), pointer, dropped ?? previous, (was) => (dropped = was)),
        );
        // A retry finds the table absent after its own drop; to the caller it was moved.
        const moved = dropped !== undefined;
        return {
          action: moved ? 'moved' : done.action,
          seenPointer: pointer,
          replacedPointer: moved ? dropped : done.replacedPointer,
        };
      } catch (error) {
        if (dropped !== undefined)
          await putBack(client, placeOf(settings, table, AbortSignal.timeout(requestTimeoutMs)), dropped);
        throw error;
      }
    },
    withdraw: (table, previous, outer) =>
      attempt(table, outer, async (signal) => {
        const place = placeOf(settings, table, signal);
        const seen = await load(client, place, signal);
        if (seen === undefined) return false;
        if (seen !== 'broken') refuseForeign(seen, previous, previous);
        await drop(client, place);
        return true;
      }),
  };
}

/** Where a table lies in the catalog. */
interface Place {
  namespace: string[];
  name: string;
  signal: AbortSignal;
}

const placeOf = (settings: CatalogSettings, table: TableName, signal: AbortSignal): Place => ({
  namespace: settings.namespace === '' ? [table.namespace] : settings.namespace.split('.'),
  name: table.name,
  signal,
});

async function pathOf(client: RestClient, levels: string[], signal: AbortSignal): Promise<string> {
  const { namespaceSeparator } = await client.config(signal);
  return `namespaces/${levels.map(encodeURIComponent).join(namespaceSeparator)}`;
}

const pointerOf = (seen: Lookup): string | undefined => (typeof seen === 'object' ? seen.pointer : undefined);

async function load(client: RestClient, place: Place, signal: AbortSignal): Promise<Lookup> {
  const path = await pathOf(client, place.namespace, signal);
  try {
    const answer = await client.send(
      'GET',
      `${path}/tables/${encodeURIComponent(place.name)}?snapshots=refs`,
      undefined,
      signal,
    );
    const pointer = answer['metadata-location'];
    const location = (answer['metadata'] as { location?: unknown } | undefined)?.location;
    if (typeof pointer !== 'string' || typeof location !== 'string') {
      throw new MillraceError(
        'corrupt',
        'the table that the catalog answered has no metadata-location or no location',
        {
          code: 'catalog-answer-invalid',
        },
      );
    }
    return { pointer, location };
  } catch (error) {
    if (!isKind(error, 'not-found')) throw error;
    return /^(NoSuch|$)/.test((error as MillraceError).context['type'] ?? '') ? undefined : 'broken';
  }
}

/** Creates the namespace level by level. Who may not look at one is taken to have it. */
async function ensureNamespace(client: RestClient, place: Place): Promise<void> {
  for (let depth = 1; depth <= place.namespace.length; depth++) {
    const levels = place.namespace.slice(0, depth);
    try {
      await client.send('GET', await pathOf(client, levels, place.signal), undefined, place.signal);
    } catch (error) {
      if (isKind(error, 'permission')) continue;
      if (!isKind(error, 'not-found')) throw error;
      await client
        .send('POST', 'namespaces', { namespace: levels, properties: {} }, place.signal)
        .catch((thrown: unknown) => {
          if (statusOf(thrown) !== 409) throw thrown;
        });
    }
  }
}

async function register(client: RestClient, place: Place, pointer: string, overwrite: boolean): Promise<void> {
  const path = await pathOf(client, place.namespace, place.signal);
  const body = { name: place.name, 'metadata-location': pointer, ...(overwrite ? { overwrite } : {}) };
  await client.send('POST', `${path}/register`, body, place.signal);
}

async function drop(client: RestClient, place: Place): Promise<void> {
  const path = await pathOf(client, place.namespace, place.signal);
  try {
    const table = `${path}/tables/${encodeURIComponent(place.name)}?purgeRequested=false`;
    await client.send('DELETE', table, undefined, place.signal);
  } catch (error) {
    if (!isKind(error, 'not-found')) throw error;
  }
}

/** After a drop whose register failed for good: readers would rather have an old table than none. */
async function putBack(client: RestClient, place: Place, pointer: string): Promise<void> {
  // The caller's error is the one to report; the next publish finds the table absent and registers it.
  await register(client, place, pointer, false).catch(() => {});
}

/** A table is ours when it shows what we published, or when our metadata lies in a folder of the table's location. */
function refuseForeign(seen: SeenTable, pointer: string, previous: string | undefined): void {
  if (seen.pointer === previous) return;
  const parent = (uri: string) => uri.slice(0, uri.lastIndexOf('/'));
  if (plain(parent(parent(pointer))) === plain(seen.location)) return;
  throw new MillraceError(
    'already-exists',
    `the catalog has another table of this name, at ${seen.location}: rename or drop it there, or give the integration another namespace`,
    { code: 'catalog-table-foreign', context: { location: seen.location } },
  );
}

/** file:/x, file:///x and s3a:// are other spellings; so is a slash at the end. */
const plain = (uri: string): string =>
  uri
    .replace(/^file:\/*/, 'file:///')
    .replace(/^s3[an]:/, 's3:')
    .replace(/\/+$/, '');
