import { expect, test } from 'vitest';
import { toAzureError } from './azure-error.ts';
import { toGcsError } from './gcs-error.ts';
import { toS3Error } from './s3-error.ts';

const s3 = (name: string, status?: number) =>
  Object.assign(new Error(`${name} it is`), { name, $metadata: { httpStatusCode: status } });
const gcs = (code: number | string, message = 'said') => Object.assign(new Error(message), { code });
const azure = (code: string, statusCode: number) =>
  Object.assign(new Error(`${code} it is\nRequestId: 1`), { name: 'RestError', code, statusCode });

test.each<[string, unknown, object, (thrown: unknown, place: string) => Error]>([
  ['S3: no bucket', s3('NoSuchBucket', 404), { kind: 'not-found', code: 'bucket-missing' }, toS3Error],
  ['S3: no key', s3('NoSuchKey', 404), { kind: 'not-found' }, toS3Error],
  ['S3: is there', s3('PreconditionFailed', 412), { kind: 'already-exists' }, toS3Error],
  ['S3: slow down', s3('SlowDown', 503), { kind: 'unavailable', retryable: true }, toS3Error],
  ['S3: too slow', s3('RequestTimeout', 400), { kind: 'unavailable', retryable: true }, toS3Error],
  ['S3: damaged', s3('BadDigest', 400), { kind: 'unavailable', retryable: true }, toS3Error],
  ['S3: quota', s3('QuotaExceeded', 403), { kind: 'exhausted' }, toS3Error],
  ['S3: forbidden', s3('AccessDenied', 403), { kind: 'permission', retryable: false }, toS3Error],
  ['S3: nobody', s3('CredentialsProviderError'), { kind: 'unauthenticated' }, toS3Error],
  ['GCS: no object', gcs(404, 'No such object: b/k'), { kind: 'not-found' }, toGcsError],
  ['GCS: no bucket', gcs(404, 'The specified bucket does not exist.'), { code: 'bucket-missing' }, toGcsError],
  ['GCS: is there', gcs(412), { kind: 'already-exists' }, toGcsError],
  ['GCS: too much', gcs(429), { kind: 'unavailable', retryable: true }, toGcsError],
  ['GCS: forbidden', gcs(403), { kind: 'permission', retryable: false }, toGcsError],
  ['GCS: nobody', new Error('Could not load the default credentials.'), { kind: 'unauthenticated' }, toGcsError],
  ['GCS: network', gcs('ECONNRESET'), { kind: 'unavailable', retryable: true }, toGcsError],
  ['Azure: no blob', azure('BlobNotFound', 404), { kind: 'not-found' }, toAzureError],
  ['Azure: no container', azure('ContainerNotFound', 404), { code: 'bucket-missing' }, toAzureError],
  ['Azure: is there', azure('BlobAlreadyExists', 409), { kind: 'already-exists' }, toAzureError],
  ['Azure: busy', azure('ServerBusy', 503), { kind: 'unavailable', retryable: true }, toAzureError],
  ['Azure: damaged', azure('Md5Mismatch', 400), { kind: 'unavailable', retryable: true }, toAzureError],
  ['Azure: bad key', azure('AuthenticationFailed', 403), { kind: 'unauthenticated' }, toAzureError],
  ['Azure: no role', azure('AuthorizationPermissionMismatch', 403), { kind: 'permission' }, toAzureError],
])('%s', (_, thrown, expected, toError) => {
  const error = toError(thrown, 'store://bucket/key');
  expect(error).toMatchObject(expected);
  expect(error.message).toMatch(/^store:\/\/bucket\/key: /);
  expect(error.message).not.toContain('RequestId');
  // The way out.
  const { kind, code } = error as Error & { kind: string; code: string };
  if (kind === 'permission' || kind === 'unauthenticated' || code === 'bucket-missing')
    expect(error.message).toMatch(/\((allow|give|create|the identity needs) /);
});
