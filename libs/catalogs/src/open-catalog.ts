import { MillraceError } from '@millrace/base';
import { CATALOG_KINDS, type CatalogAdapter, type CatalogSettings } from './catalog-adapter.ts';
import { type IcebergRestOptions, icebergRestCatalog } from './iceberg-rest.ts';
import { parseTokenSource } from './token-source.ts';

/** The adapter for a catalog; `invalid` when the settings can't be right. Connects to nothing yet. */
export function openCatalog(settings: CatalogSettings, options: Partial<IcebergRestOptions> = {}): CatalogAdapter {
  const refuse = (code: string, message: string): never => {
    throw new MillraceError('invalid', message, { code, context: { catalog: settings.name } });
  };
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(settings.name)) {
    refuse('catalog-name', `catalog name ${JSON.stringify(settings.name)}: use 1 to 100 letters, digits, "-" and "_"`);
  }
  if (!CATALOG_KINDS.includes(settings.kind)) {
    refuse(
      'catalog-kind',
      `catalog kind ${JSON.stringify(settings.kind)} is not known; legal: ${CATALOG_KINDS.join(', ')}`,
    );
  }
  const url = URL.canParse(settings.uri) ? new URL(settings.uri) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.search !== '' || url.hash !== '') {
    refuse('catalog-uri', `catalog ${settings.name}: give an http:// or https:// address without "?" and "#"`);
  }
  if (url!.username !== '' || url!.password !== '') {
    refuse('catalog-uri', `catalog ${settings.name}: the address must not hold a user or password; use a token source`);
  }
  if (settings.namespace !== '' && settings.namespace.split('.').includes('')) {
    refuse(
      'catalog-namespace',
      `catalog ${settings.name}: namespace ${JSON.stringify(settings.namespace)} has an empty level`,
    );
  }
  if (settings.tokenSource !== '') parseTokenSource(settings.tokenSource);
  return icebergRestCatalog(settings, options);
}
