import { MillraceError } from '@millrace/base';

/** Which part of an ordered list: those after a key, at most so many. */
export interface PageRequest {
  after?: string;
  size?: number;
}

export interface Page<T> {
  items: T[];
  nextToken?: string;
}

const MAX_PAGE_SIZE = 10_000;
const DEFAULT_PAGE_SIZE = 1_000;

/** The REST API's pageToken and pageSize. Without both, everything is listed (specification, "PageToken"). */
export function pageRequest(token: string | undefined, size: number | undefined): PageRequest {
  if (token === undefined && size === undefined) return {};
  if (size !== undefined && !(Number.isInteger(size) && size > 0)) {
    throw new MillraceError('invalid', `pageSize must be a positive integer, not ${size}`);
  }
  const after = Buffer.from(token ?? '', 'base64url').toString('utf8');
  return { ...(after === '' ? {} : { after }), size: Math.min(size ?? DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE) };
}

/** The first page of `rows`, which are in the order of their keys and start after `request.after`. */
export function page<Row, Item>(
  rows: Row[],
  request: PageRequest,
  keyOf: (row: Row) => string,
  itemOf: (row: Row) => Item,
): Page<Item> {
  const size = request.size ?? rows.length;
  const items = rows.slice(0, size).map(itemOf);
  if (rows.length <= size) return { items };
  return { items, nextToken: Buffer.from(keyOf(rows[size - 1]!)).toString('base64url') };
}
