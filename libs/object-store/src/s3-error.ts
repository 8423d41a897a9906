import { type ErrorKind, MillraceError, toMillraceError } from '@millrace/base';

// Codes of S3's REST API ("Error responses"); what is not here goes by its HTTP status.
const CODES: Record<string, ErrorKind> = {
  NoSuchKey: 'not-found',
  NotFound: 'not-found',
  NoSuchUpload: 'not-found',
  PreconditionFailed: 'already-exists',
  ConditionalRequestConflict: 'conflict',
  InvalidAccessKeyId: 'unauthenticated',
  SignatureDoesNotMatch: 'unauthenticated',
  ExpiredToken: 'unauthenticated',
  CredentialsProviderError: 'unauthenticated',
  AccessDenied: 'permission',
  QuotaExceeded: 'exhausted',
  RequestTimeTooSkewed: 'invalid',
};

/** Errors of the SDK as MillraceErrors; the message names the object, never a credential. */
export function toS3Error(thrown: unknown, place: string): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  const error = thrown as Error & { $metadata?: { httpStatusCode?: number } };
  const code = error?.name ?? '';
  if (code === 'AbortError') return toMillraceError(thrown);
  const options = { code, cause: thrown, context: { object: place } };
  const status = error?.$metadata?.httpStatusCode;
  if (code === 'NoSuchBucket')
    return new MillraceError('not-found', `${place}: there is no such bucket`, { ...options, code: 'bucket-missing' });
  const kind = CODES[code] ?? byStatus(status);
  if (kind !== undefined) return new MillraceError(kind, `${place}: ${error.message || code}`, options);
  const other = toMillraceError(thrown, { object: place });
  // What has no HTTP status came from the network or the SDK's own timer.
  return new MillraceError('unavailable', `${place}: ${other.message}`, options);
}

function byStatus(status: number | undefined): ErrorKind | undefined {
  if (status === undefined) return undefined;
  if (status >= 500 || status === 429 || status === 408) return 'unavailable';
  if (status === 404) return 'not-found';
  if (status === 412) return 'already-exists';
  if (status === 409) return 'conflict';
  if (status === 401) return 'unauthenticated';
  return status === 403 ? 'permission' : status === 200 ? 'unavailable' : 'invalid';
}
