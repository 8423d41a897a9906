/** The parts of a file that Parquet Modular Encryption encrypts one by one (Encryption.md, "Module AAD"). */
export const MODULE = {
  FOOTER: 0,
  DATA_PAGE: 2,
  DICTIONARY_PAGE: 3,
  DATA_PAGE_HEADER: 4,
  DICTIONARY_PAGE_HEADER: 5,
  COLUMN_INDEX: 6,
  OFFSET_INDEX: 7,
  BLOOM_FILTER_HEADER: 8,
  BLOOM_FILTER_BITSET: 9,
};

/** Where a module stands. What it has no ordinal of is 0. */
export interface ModulePlace {
  module: number;
  rowGroup: number;
  column: number;
  page: number;
}

/**
 * Every module passes here before it is written, compressed and before its checksum; what comes back is written in its
 * place. Files are not encrypted: the one seal there is gives its parts back. An encrypting one would have, for AES-GCM,
 *
 *     sealed := length:u32 nonce:12 ciphertext tag:16        length of what follows, little endian
 *     AAD    := prefix fileId module:u8 rowGroup:i16 column:i16 page:i16      little endian; the footer's ends after
 *               `module`, page is there for data pages and their headers only
 */
export type ModuleSeal = (parts: Uint8Array[], place: ModulePlace) => Uint8Array[];

export const unsealed: ModuleSeal = (parts) => parts;
