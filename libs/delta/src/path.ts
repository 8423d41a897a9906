import { MillraceError } from '@millrace/base';

/**
 * The `path` of a file in the table's folder, as add and remove carry it: a relative URI (RFC 2396), percent-encoded
 * (Delta protocol, "Add File and Remove File"). Every reader decodes it once.
 */
export const encodePath = (key: string): string => key.split('/').map(encodeURIComponent).join('/');

/** The key below the table's folder. `unsupported` for an absolute path: such a file lies outside the table. */
export function decodePath(path: string): string {
  if (/^([a-z][a-z0-9+.-]*:|\/)/i.test(path)) {
    throw new MillraceError('unsupported', `file ${path} of the Delta log does not lie in the table's folder`, {
      code: 'delta-absolute-path',
      context: { path },
    });
  }
  try {
    return decodeURIComponent(path);
  } catch {
    throw new MillraceError('corrupt', `path ${JSON.stringify(path)} in the Delta log is not percent-encoded`, {
      code: 'delta-path-invalid',
      context: { path },
    });
  }
}
