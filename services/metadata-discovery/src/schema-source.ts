import { MillraceError } from '@millrace/base';
import { filePath } from '@millrace/object-store';
import { folderSchemaSource, registrySchemaSource, type SchemaSource } from '@millrace/schema';

/** A folder of schemas (a path or file:// URI) or a registry (http:// or https://). */
export function openSchemaSource(uri: string): SchemaSource {
  if (/^https?:\/\//.test(uri)) return registrySchemaSource(uri);
  const path = filePath(uri) ?? (/^[a-z][a-z0-9+.-]*:\/\//i.test(uri) ? undefined : uri);
  if (path !== undefined) return folderSchemaSource(path);
  throw new MillraceError(
    'invalid',
    `schemaSourceUri ${JSON.stringify(uri)} is not legal: use file:///<folder>, a path, or http(s)://<host> of a schema registry`,
    { code: 'config-invalid', context: { key: 'schemaSourceUri' } },
  );
}
