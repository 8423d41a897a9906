import { MillraceError } from '@millrace/base';

/**
 * JSON that keeps 64-bit integers and decimals exact (ECMAScript "JSON.parse source text access"): an integer that a
 * double can't hold is read as a bigint; bigints and exact decimals are written as plain JSON numbers.
 */
const withSource = JSON as unknown as {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): object;
};

/** A JSON number written with exactly these digits, such as "12345678901234567.89". */
export const exactNumber = (digits: string): object => withSource.rawJSON(digits);

export function parseJson(text: string): unknown {
  try {
    return withSource.parse(text, (_key, value, { source }) =>
      typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && /^-?\d+$/.test(source)
        ? BigInt(source)
        : value,
    );
  } catch (error) {
    throw new MillraceError('corrupt', `not JSON: ${(error as Error).message}`, { code: 'json-invalid', cause: error });
  }
}

export const stringifyJson = (value: unknown): string =>
  JSON.stringify(value, (_key, v) => (typeof v === 'bigint' ? exactNumber(v.toString()) : v));
