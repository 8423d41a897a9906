import { MillraceError } from '@millrace/base';

interface ReviverContext {
  source?: string;
}

// TypeScript's library does not know the standard's raw JSON and source text access yet.
const raw = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
const parse = JSON.parse as (
  text: string,
  reviver: (this: unknown, key: string, value: unknown, context: ReviverContext) => unknown,
) => unknown;

const ID_KEY = /(^|-)snapshot-id$/;

/**
 * JSON as Iceberg uses it: 64-bit integers without loss. The value of a key that ends in "snapshot-id" is always a
 * bigint; any other integer beyond 2^53 is one too, so that what we don't know survives a round trip.
 */
export function parseJson(text: string, what: string): unknown {
  try {
    return parse(text, (key, value, context) => {
      if (typeof value !== 'number' || context.source === undefined) return value;
      const exact = ID_KEY.test(key) || (Number.isInteger(value) && !Number.isSafeInteger(value));
      return exact && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
    });
  } catch (error) {
    throw new MillraceError('corrupt', `${what} is not JSON: ${(error as Error).message}`, { code: 'json-invalid' });
  }
}

/** The inverse of `parseJson`: a bigint is written as a number with all its digits. */
export const stringifyJson = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? raw(part.toString()) : part));
