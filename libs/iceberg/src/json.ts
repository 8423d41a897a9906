import { parseExactJson } from '@millrace/base';

export { stringifyExactJson as stringifyJson } from '@millrace/base';

const ID_KEY = /(^|-)snapshot-id$/;

/** JSON as Iceberg uses it: the value of a key that ends in "snapshot-id" is always a bigint. */
export const parseJson = (text: string, what: string): unknown => parseExactJson(text, what, ID_KEY);
