import { parseExactJson } from '@millrace/base';

export { exactNumber, stringifyExactJson as stringifyJson } from '@millrace/base';

/** JSON as the Delta log holds it, 64-bit integers exact. Its errors are `corrupt`. */
export const parseJson = (text: string, what = 'the text'): unknown => parseExactJson(text, what);
