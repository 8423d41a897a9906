import { readFile } from 'node:fs/promises';
import { keepSecret, MillraceError } from '@millrace/base';

/**
 * Reads the secret that `env:NAME` or `file:PATH` names, trimmed; undefined for an empty source. Read anew each time,
 * so that a rotated file counts at once.
 */
export async function readToken(
  source: string,
  env: Record<string, string | undefined> = process.env,
): Promise<string | undefined> {
  if (source === '') return undefined;
  const { scheme, place } = parseTokenSource(source);
  let token: string;
  try {
    token = (scheme === 'env' ? (env[place] ?? '') : await readFile(place, 'utf8')).trim();
  } catch (error) {
    throw new MillraceError('unauthenticated', `token file ${place} can't be read: ${(error as Error).message}`, {
      code: 'token-unreadable',
      context: { file: place },
      cause: error,
    });
  }
  if (!/^[\x21-\x7e]+$/.test(token)) {
    const what = scheme === 'env' ? `environment variable ${place}` : `file ${place}`;
    throw new MillraceError(
      'unauthenticated',
      `${what} holds no token: ${token === '' ? 'it is empty or not set' : 'it has spaces or control characters'}`,
      { code: 'token-missing' },
    );
  }
  keepSecret(token);
  return token;
}

/** `invalid` when the source has neither form; a token put there by mistake is not repeated in the message. */
export function parseTokenSource(source: string): { scheme: 'env' | 'file'; place: string } {
  const match = /^(env|file):(.+)$/s.exec(source);
  if (match === null) {
    throw new MillraceError('invalid', 'token source must be "env:NAME" or "file:PATH", not the token itself', {
      code: 'token-source-invalid',
    });
  }
  return { scheme: match[1] as 'env' | 'file', place: match[2]! };
}
