import { type ErrorKind, MillraceError } from '@millrace/base';
import { kindOfStatus, storeError, unnamedError, type WaysOut } from './store-error.ts';

// Codes of S3's REST API ("Error responses"); what is not here goes by its HTTP status.
const CODES: Record<string, ErrorKind> = {
  NoSuchKey: 'not-found',
  NotFound: 'not-found',
  NoSuchUpload: 'not-found',
  NoSuchBucket: 'not-found',
  PreconditionFailed: 'already-exists',
  ConditionalRequestConflict: 'conflict',
  InvalidAccessKeyId: 'unauthenticated',
  SignatureDoesNotMatch: 'unauthenticated',
  ExpiredToken: 'unauthenticated',
  CredentialsProviderError: 'unauthenticated',
  AccessDenied: 'permission',
  QuotaExceeded: 'exhausted',
  // The SDK corrects its clock by the answer; the rest was damaged, or stopped, on its way.
  RequestTimeTooSkewed: 'unavailable',
  RequestTimeout: 'unavailable',
  BadDigest: 'unavailable',
  IncompleteBody: 'unavailable',
  XAmzContentChecksumMismatch: 'unavailable',
};

const WAYS: WaysOut = {
  'bucket-missing': 'create it, or correct the URI or the endpoint',
  unauthenticated: 'give the AWS SDK credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role',
  permission:
    'allow s3:GetObject, PutObject, DeleteObject, AbortMultipartUpload, ListBucket and ListBucketMultipartUploads',
};

/** Errors of the SDK as MillraceErrors; the message names the object, never a credential. */
export function toS3Error(thrown: unknown, place: string): MillraceError {
  const error = thrown as Error & { $metadata?: { httpStatusCode?: number } };
  const name = error?.name ?? '';
  const kind = CODES[name] ?? kindOfStatus(error?.$metadata?.httpStatusCode);
  if (thrown instanceof MillraceError || kind === undefined) return unnamedError(thrown, place);
  const code = name === 'NoSuchBucket' ? 'bucket-missing' : name;
  return storeError(kind, place, error.message || name, WAYS, { code, cause: thrown });
}
