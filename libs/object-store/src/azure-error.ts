import { type ErrorKind, MillraceError } from '@millrace/base';
import { kindOfStatus, storeError, unnamedError, type WaysOut } from './store-error.ts';

// Codes of the Blob service's REST API ("Blob service error codes"), and names of @azure/identity's errors; what is not
// here goes by its HTTP status.
const CODES: Record<string, ErrorKind> = {
  BlobAlreadyExists: 'already-exists',
  ConditionNotMet: 'already-exists',
  ContainerNotFound: 'not-found',
  AuthenticationFailed: 'unauthenticated',
  InvalidAuthenticationInfo: 'unauthenticated',
  CredentialUnavailableError: 'unauthenticated',
  AggregateAuthenticationError: 'unauthenticated',
  AuthenticationError: 'unauthenticated',
  AuthenticationRequiredError: 'unauthenticated',
  // Damaged or stopped on their way.
  Md5Mismatch: 'unavailable',
  IncompleteBody: 'unavailable',
  RequestBodyIncomplete: 'unavailable',
};

const WAYS: WaysOut = {
  'bucket-missing': 'create the container, or correct the URI or the endpoint',
  unauthenticated:
    'give credentials: AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, or an identity that DefaultAzureCredential finds',
  permission: 'the identity needs the role Storage Blob Data Contributor on the container',
};

/** Errors of the SDK as MillraceErrors; the message names the object, never a credential. */
export function toAzureError(thrown: unknown, place: string): MillraceError {
  const error = thrown as Error & { code?: string; statusCode?: number; details?: { errorCode?: string } };
  // Answers to HEAD have no body, so no code but that of the header.
  const name = error?.details?.errorCode ?? error?.code ?? error?.name ?? '';
  const kind = CODES[name] ?? CODES[error?.name ?? ''] ?? kindOfStatus(error?.statusCode);
  if (thrown instanceof MillraceError || kind === undefined) return unnamedError(thrown, place);
  const code = name === 'ContainerNotFound' ? 'bucket-missing' : name;
  return storeError(kind, place, error.message || name, WAYS, { code, cause: thrown });
}
