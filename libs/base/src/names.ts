import { MillraceError } from './errors.ts';

export interface TableName {
  namespace: string;
  name: string;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const FORBIDDEN = /[/\\\u0000-\u001f\u007f\u001f]/;

/** Checks one part of a table's name: it becomes a folder, so no separators, control characters, "." or "..". */
export function checkNamePart(part: string, what: string): string {
  if (part === '' || part === '.' || part === '..' || part.length > 200 || FORBIDDEN.test(part)) {
    throw new MillraceError(
      'invalid',
      `${what} ${JSON.stringify(part)} is not allowed: use 1 to 200 characters without slash, backslash or control characters, and not "." or ".."`,
      { code: 'name-invalid', context: { [what]: part } },
    );
  }
  return part;
}

/** "namespace.name": the namespace ends at the first dot. */
export function parseTableName(text: string): TableName {
  const dot = text.indexOf('.');
  if (dot <= 0 || dot === text.length - 1) {
    throw new MillraceError('invalid', `table ${JSON.stringify(text)} is not of the form namespace.name`, {
      code: 'name-invalid',
    });
  }
  return {
    namespace: checkNamePart(text.slice(0, dot), 'namespace'),
    name: checkNamePart(text.slice(dot + 1), 'table'),
  };
}

export const formatTableName = (table: TableName): string => `${table.namespace}.${table.name}`;

/** `<warehouse URI>/<namespace>/<table>`, each part percent-encoded only where a URI needs it. */
export function tableLocation(warehouseUri: string, table: TableName): string {
  return [
    warehouseUri.replace(/\/+$/, ''),
    checkNamePart(table.namespace, 'namespace'),
    checkNamePart(table.name, 'table'),
  ].join('/');
}
