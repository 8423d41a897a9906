import { type ErrorKind, MillraceError, type MillraceErrorOptions, toMillraceError } from '@millrace/base';

/** What to do about an error of a store, by its kind or code. */
export type WaysOut = Readonly<Record<string, string>>;

/** An error of a store: the object, what the store said, the way out. */
export function storeError(
  kind: ErrorKind,
  place: string,
  said: string,
  ways: WaysOut,
  options: MillraceErrorOptions,
): MillraceError {
  const way = ways[options.code ?? kind] ?? ways[kind];
  // Some SDKs put the request's headers below the first line.
  const text = `${place}: ${said.split('\n', 1)[0]}${way === undefined ? '' : ` (${way})`}`;
  return new MillraceError(kind, text, { ...options, context: { object: place } });
}

/** What has no HTTP status came from the network, a timer or the SDK; MillraceErrors get the place. */
export function unnamedError(thrown: unknown, place: string): MillraceError {
  const known = toMillraceError(thrown);
  if (known.kind === 'cancelled') return known;
  const kind = thrown instanceof MillraceError ? known.kind : 'unavailable';
  const text = known.message.startsWith(place) ? known.message : `${place}: ${known.message}`;
  const options = { code: known.code, cause: thrown, context: { ...known.context, object: place } };
  return new MillraceError(kind, text, options);
}

/** By an answer's HTTP status. A conditional write that fails by 409 or 412 found the object there. */
export function kindOfStatus(status: number | undefined): ErrorKind | undefined {
  if (status === undefined) return undefined;
  if (status >= 500 || status === 429 || status === 408) return 'unavailable';
  if (status === 404) return 'not-found';
  if (status === 412) return 'already-exists';
  if (status === 409) return 'conflict';
  if (status === 401) return 'unauthenticated';
  return status === 403 ? 'permission' : status === 200 ? 'unavailable' : 'invalid';
}
