import { MillraceError } from '@millrace/base';
import { bucketRoot } from './bucket-uri.ts';
import { checkKey } from './key.ts';

/** A container of a storage account, or a prefix in one. */
export interface AzureRoot {
  account: string;
  container: string;
  /** Empty, or ends with "/". */
  prefix: string;
  /** abfss://container@account.dfs.core.windows.net/prefix: what engines expect in table metadata. */
  root: string;
  /** The account's blob service in the cloud that the URI names. */
  blobUrl: string;
  parameters: URLSearchParams;
}

export const AZURE_SCHEMES = ['abfss', 'abfs', 'wasbs', 'wasb', 'az'] as const;

/**
 * Reads abfss://container@account.dfs.core.windows.net/prefix (abfs, wasbs and wasb too, with ".blob." in the host), and
 * az://container/prefix, whose account `?account=` or the environment names. Other clouds and private zones keep their
 * hosts. Throws `invalid`.
 */
export function azureRoot(uri: string, legal: readonly string[], defaultAccount: string | undefined): AzureRoot {
  const { bucket, prefix, root, parameters } = bucketRoot(uri, AZURE_SCHEMES, legal);
  const invalid = (why: string) =>
    new MillraceError('invalid', `the store ${root} is not usable: ${why}`, { code: 'store-uri' });
  const [container = '', host, ...more] = bucket.split('@');
  const isShort = root.startsWith('az:');
  if (isShort !== (host === undefined) || more.length > 0 || container === '')
    throw invalid(
      `it is not of the form abfss://container@account.dfs.core.windows.net/prefix or az://container/prefix`,
    );
  const account = isShort ? (parameters.get('account') ?? defaultAccount) : host!.slice(0, host!.indexOf('.'));
  if (account === undefined || !/^[a-z0-9]{3,24}$/.test(account))
    throw invalid(
      isShort
        ? 'name the storage account: "?account=", AZURE_STORAGE_ACCOUNT, or abfss://container@account.dfs.core.windows.net'
        : `${JSON.stringify(account)} is no name of a storage account`,
    );
  const [, zone = '', service, suffix] =
    /^[^.]+((?:\.z\d+)?)\.(dfs|blob)\.(.+)$/.exec(host ?? `${account}.dfs.core.windows.net`) ?? [];
  if (service === undefined) throw invalid(`the host ${host} is not of the form account.dfs.core.windows.net`);
  return {
    account,
    container,
    prefix,
    root: `abfss://${container}@${account}${zone}.dfs.${suffix}${prefix === '' ? '' : `/${prefix.slice(0, -1)}`}`,
    blobUrl: `https://${account}${zone}.blob.${suffix}`,
    parameters,
  };
}

/** The key of a full URI, in any of its spellings, under a root; `invalid` when it lies elsewhere. */
export function azureKey({ account, container, prefix, root }: AzureRoot, uri: string): string {
  const match = /^(?:(?:abfss?|wasbs?):\/\/([^@/]+)@([^./]+)\.[^/]*|az:\/\/([^@/]+))\/(.+)$/.exec(uri);
  const [, first, of = account, second, path = ''] = match ?? [];
  if (match === null || (first ?? second) !== container || of !== account || !path.startsWith(prefix))
    throw new MillraceError('invalid', `${uri} does not lie under ${root}`, { code: 'uri-elsewhere' });
  return checkKey(path.slice(prefix.length));
}
