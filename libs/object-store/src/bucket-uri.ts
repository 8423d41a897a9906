import { MillraceError } from '@millrace/base';
import { checkKey } from './key.ts';

export interface BucketRoot {
  bucket: string;
  /** Empty, or ends with "/". */
  prefix: string;
  /** scheme://bucket/prefix without a slash at the end and without parameters: what table metadata names. */
  root: string;
  parameters: URLSearchParams;
}

/** Reads scheme://bucket/prefix?parameter=value. Throws `invalid`, and names what is legal. */
export function bucketRoot(uri: string, schemes: readonly string[], legal: readonly string[]): BucketRoot {
  const match = /^([a-z0-9]+):\/\/([^/?#\s]+)(\/[^?#]*)?(?:\?(.*))?$/.exec(uri);
  if (match === null || !schemes.includes(match[1]!))
    throw invalid(uri, `it is not of the form ${schemes[0]}://bucket/prefix`);
  const [, scheme, bucket, path = '', query = ''] = match;
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys())
    if (!legal.includes(name))
      throw invalid(uri, `the parameter ${JSON.stringify(name)} is unknown; legal: ${legal.join(', ')}`);
  const folder = path.replace(/^\/+|\/+$/g, '');
  if (folder !== '') checkKey(folder);
  return {
    bucket: bucket!,
    prefix: folder === '' ? '' : `${folder}/`,
    root: `${scheme}://${bucket}${folder === '' ? '' : `/${folder}`}`,
    parameters,
  };
}

/** The key of a full URI under a root; `invalid` when it lies elsewhere. */
export function keyUnder(root: string, uri: string): string {
  if (!uri.startsWith(`${root}/`))
    throw new MillraceError('invalid', `${uri} does not lie under ${root}`, { code: 'uri-elsewhere' });
  return checkKey(uri.slice(root.length + 1));
}

const invalid = (uri: string, why: string): MillraceError =>
  new MillraceError('invalid', `the store ${uri.replace(/\?.*/s, '?…')} is not usable: ${why}`, {
    code: 'store-uri',
  });
