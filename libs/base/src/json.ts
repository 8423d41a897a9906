import { MillraceError } from './errors.ts';

/** JSON.parse source text access and raw JSON (ECMAScript), which TypeScript's library does not know yet. */
const exact = JSON as unknown as {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): object;
};

/**
 * JSON with 64-bit integers exact: an integer that a double can't hold is a bigint, and so is any integer under a key
 * that `bigintKeys` matches. `what` names the text in the `corrupt` error.
 */
export function parseExactJson(text: string, what: string, bigintKeys?: RegExp): unknown {
  try {
    return exact.parse(text, (key, value, { source }) => {
      if (typeof value !== 'number' || source === undefined) return value;
      const wanted = bigintKeys?.test(key) || (Number.isInteger(value) && !Number.isSafeInteger(value));
      return wanted && /^-?\d+$/.test(source) ? BigInt(source) : value;
    });
  } catch (error) {
    throw new MillraceError('corrupt', `${what} is not JSON: ${(error as Error).message}`, {
      code: 'json-invalid',
      cause: error,
    });
  }
}

/** The inverse of `parseExactJson`: a bigint is written as a number with all its digits. */
export const stringifyExactJson = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? exactNumber(part.toString()) : part));

/** A JSON number written with exactly these digits, such as "12345678901234567.89". */
export const exactNumber = (digits: string): object => exact.rawJSON(digits);
