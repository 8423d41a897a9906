import { type ErrorKind, MillraceError } from '@millrace/base';
import { kindOfStatus, storeError, unnamedError, type WaysOut } from './store-error.ts';

const WAYS: WaysOut = {
  'bucket-missing': 'create it, or correct the URI or the endpoint',
  unauthenticated:
    'give Application Default Credentials: GOOGLE_APPLICATION_CREDENTIALS, gcloud auth application-default login, or a service account of the machine',
  permission: 'the identity needs the role Storage Object User (storage.objectUser) on the bucket',
};

/** Errors of the SDK as MillraceErrors; the message names the object, never a credential. */
export function toGcsError(thrown: unknown, place: string): MillraceError {
  // `code` is the HTTP status of ApiErrors, and a system's code otherwise; gaxios's errors have a `status`.
  const error = thrown as Error & { code?: number | string; status?: number; errors?: { reason?: string }[] };
  // Of several errors the SDK makes a list.
  const said = /^ *1\. (.+)$/m.exec(error?.message ?? '')?.[1] ?? error?.message ?? '';
  const status =
    typeof error?.code === 'number' ? error.code : (error?.status ?? Number.parseInt(`${error?.code}`, 10));
  const kind: ErrorKind | undefined = /default credentials|invalid_grant|refresh access token/i.test(said)
    ? 'unauthenticated'
    : kindOfStatus(Number.isInteger(status) ? status : undefined);
  if (thrown instanceof MillraceError || kind === undefined) return unnamedError(thrown, place);
  const isBucket = kind === 'not-found' && /bucket does not exist/i.test(said);
  const isRange = status === 416;
  const code = isBucket ? 'bucket-missing' : isRange ? 'InvalidRange' : (error.errors?.[0]?.reason ?? `http-${status}`);
  return storeError(kind, place, said, WAYS, { code, cause: thrown });
}
