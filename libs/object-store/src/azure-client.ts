import type { BlobServiceClient } from '@azure/storage-blob';
import { toAzureError } from './azure-error.ts';
import type { AzureRoot } from './azure-uri.ts';
import { type StoreRequests, silenceOf, storeRequests } from './store-requests.ts';

export interface OpenAccount {
  service: BlobServiceClient;
  requests: StoreRequests;
}

/** The account that the environment names: for az:// URIs, and the one that its keys belong to. */
export function environmentAccount(): string | undefined {
  const { AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_ACCOUNT_NAME } = process.env;
  return AZURE_STORAGE_ACCOUNT ?? AZURE_STORAGE_ACCOUNT_NAME ?? connectionString().get('AccountName');
}

/** By account and parameters: stores are opened for every table and split, and share connections and the budget. */
const accounts = new Map<string, Promise<OpenAccount>>();

export function openAccount(root: AzureRoot): Promise<OpenAccount> {
  const name = `${root.blobUrl}?${root.parameters}`;
  let account = accounts.get(name);
  if (account === undefined) {
    account = createAccount(root);
    accounts.set(name, account);
    account.catch(() => accounts.delete(name));
  }
  return account;
}

async function createAccount({ account, blobUrl, parameters }: AzureRoot): Promise<OpenAccount> {
  const requests = storeRequests(silenceOf(parameters), toAzureError);
  // Loaded by who uses it.
  const sdk = await import('@azure/storage-blob');
  const given = environmentAccount();
  const mine = given === undefined || given === account;
  const connection = given === account ? connectionString() : new Map<string, string>();
  const { AZURE_STORAGE_SAS_TOKEN, AZURE_STORAGE_KEY, AZURE_STORAGE_ACCOUNT_KEY } = mine ? process.env : {};
  const key = connection.get('AccountKey') ?? AZURE_STORAGE_KEY ?? AZURE_STORAGE_ACCOUNT_KEY;
  const signature = connection.get('SharedAccessSignature') ?? AZURE_STORAGE_SAS_TOKEN;
  const own = parameters.get('endpoint')?.replace(/\/+$/, '');
  const isPath = (parameters.get('path-style') ?? 'true') === 'true';
  const elsewhere = own === undefined ? connection.get('BlobEndpoint') : isPath ? `${own}/${account}` : own;
  const url = elsewhere ?? blobUrl;
  // Tries again are ours: the SDK's do not end what hangs.
  const options = { retryOptions: { maxTries: 1 } };
  if (key !== undefined) {
    const credential = new sdk.StorageSharedKeyCredential(account, key);
    return { service: new sdk.BlobServiceClient(url, credential, options), requests };
  }
  if (signature !== undefined) {
    const signed = `${url}?${signature.replace(/^\?/, '')}`;
    return { service: new sdk.BlobServiceClient(signed, new sdk.AnonymousCredential(), options), requests };
  }
  const { DefaultAzureCredential } = await import('@azure/identity');
  return { service: new sdk.BlobServiceClient(url, new DefaultAzureCredential(), options), requests };
}

/** AZURE_STORAGE_CONNECTION_STRING by the names of its parts. */
function connectionString(): Map<string, string> {
  const parts = (process.env.AZURE_STORAGE_CONNECTION_STRING ?? '').split(';');
  return new Map(parts.map((part) => [part.split('=', 1)[0]!.trim(), part.slice(part.indexOf('=') + 1).trim()]));
}
