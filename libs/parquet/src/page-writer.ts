import { crc32 } from 'node:zlib';
import type { CompressPage } from './codec.ts';
import { MODULE, type ModulePlace, type ModuleSeal } from './module-seal.ts';
import { dataPageHeader, dataPageHeaderV2, dictionaryPageHeader, type PageSizes } from './page-header.ts';

export interface PageOptions {
  /** Of data pages; undefined: they are not compressed. */
  compress: CompressPage | undefined;
  compressDictionary: CompressPage | undefined;
  pageVersion: 1 | 2;
  pageChecksums: boolean;
  seal: ModuleSeal;
}

/** A page ready to be written. */
export interface FinishedPage {
  header: Uint8Array;
  /** One piece, or a V2 page's levels and its values. */
  body: Uint8Array[];
  bodyBytes: number;
}

export interface DataPage {
  /** Levels and values, as they are encoded. */
  page: Uint8Array;
  valueCount: number;
  nullCount: number;
  rowCount: number;
  encoding: number;
  /** Of a V2 page: how long the levels are that it begins with. */
  repetitionBytes: number;
  definitionBytes: number;
}

/** A data page of the version asked for, compressed, sealed and summed. */
export function finishDataPage(data: DataPage, options: PageOptions, place: ModulePlace): FinishedPage {
  const { page, ...fields } = data;
  const levelBytes = options.pageVersion === 1 ? 0 : data.repetitionBytes + data.definitionBytes;
  const values = page.subarray(levelBytes);
  let compressed = options.compress?.(values) ?? values;
  const isCompressed = options.compress !== undefined && compressed.length < values.length;
  // A V1 page has no way to say that it is as it was.
  if (options.pageVersion === 2 && !isCompressed) compressed = values;
  return finish(
    levelBytes === 0 ? [compressed] : [page.subarray(0, levelBytes), compressed],
    page.length,
    options,
    place,
    MODULE.DATA_PAGE,
    (sizes) =>
      options.pageVersion === 1
        ? dataPageHeader({ ...fields, ...sizes })
        : dataPageHeaderV2({ ...fields, ...sizes, isCompressed }),
  );
}

export function finishDictionaryPage(
  page: Uint8Array,
  count: number,
  options: PageOptions,
  place: ModulePlace,
): FinishedPage {
  const compressed = options.compressDictionary?.(page) ?? page;
  return finish([compressed], page.length, options, place, MODULE.DICTIONARY_PAGE, (sizes) =>
    dictionaryPageHeader({ ...sizes, count }),
  );
}

const HEADER_OF = {
  [MODULE.DATA_PAGE]: MODULE.DATA_PAGE_HEADER,
  [MODULE.DICTIONARY_PAGE]: MODULE.DICTIONARY_PAGE_HEADER,
};

function finish(
  parts: Uint8Array[],
  uncompressedBytes: number,
  options: PageOptions,
  place: ModulePlace,
  module: number,
  headerOf: (sizes: PageSizes) => Uint8Array,
): FinishedPage {
  const body = options.seal(parts, { ...place, module });
  const compressedBytes = body.reduce((total, part) => total + part.length, 0);
  const crc = options.pageChecksums ? body.reduce((sum, part) => crc32(part, sum), 0) : undefined;
  const [header] = options.seal([headerOf({ uncompressedBytes, compressedBytes, crc })], {
    ...place,
    module: HEADER_OF[module]!,
  });
  return { header: header!, body, bodyBytes: compressedBytes };
}
