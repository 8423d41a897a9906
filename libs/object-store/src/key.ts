import { MillraceError } from '@millrace/base';

/** Checks a key from outside: no empty, "." or ".." part, no leading slash, no backslash or NUL, at most 1,024 bytes. */
export function checkKey(key: string): string {
  const broken =
    key === '' ||
    Buffer.byteLength(key) > 1024 ||
    /[\\\0]/.test(key) ||
    key.split('/').some((part) => part === '' || part === '.' || part === '..');
  if (broken) {
    throw new MillraceError(
      'invalid',
      `object key ${JSON.stringify(key)} is not allowed: parts must be non-empty and not "." or ".."`,
      {
        code: 'key-invalid',
        context: { key },
      },
    );
  }
  return key;
}
