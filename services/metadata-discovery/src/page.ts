import { MillraceError } from '@millrace/base';

/** A page size as asked for (0: the default), never above the largest. */
export function pageSize(asked: number, usual: number, largest: number): number {
  if (asked < 0)
    throw new MillraceError('invalid', `page_size is ${asked}: 0 (default ${usual}) to ${largest} is legal`);
  return asked === 0 ? usual : Math.min(asked, largest);
}

/** A version, offset or time of a request; `invalid` when it is negative or beyond 2^53. */
export function wholeNumber(value: bigint, name: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new MillraceError('invalid', `${name} is ${value}: 0 to 2^53 - 1 is legal`, { code: 'number-out-of-range' });
  }
  return Number(value);
}
