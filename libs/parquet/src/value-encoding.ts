import { MillraceError } from '@millrace/base';
import type { ByteBuffer } from './byte-buffer.ts';
import { writeByteStreams, writeDeltaBinary, writeDeltaBytes, writeDeltaLengths } from './delta-writer.ts';
import { ENCODING, PHYSICAL } from './format.ts';
import { writeLevels } from './hybrid-writer.ts';
import type { Leaf } from './leaf.ts';

/**
 * How a column's values may be written (Encodings.md). `rle_dictionary` falls back to PLAIN where a dictionary does not
 * pay; each other one takes no dictionary.
 */
export type EncodingName =
  | 'plain'
  | 'rle_dictionary'
  | 'rle'
  | 'delta_binary_packed'
  | 'delta_length_byte_array'
  | 'delta_byte_array'
  | 'byte_stream_split';

/** Writes a page, given in PLAIN form, and answers with its encoding. */
export type PageWriter = (plain: Uint8Array, count: number, out: ByteBuffer) => number;

const NUMBERS = [PHYSICAL.INT32, PHYSICAL.INT64];
const FLOATS = [PHYSICAL.FLOAT, PHYSICAL.DOUBLE];
const BYTES = [PHYSICAL.BYTE_ARRAY];
const FIXED = [PHYSICAL.FIXED_LEN_BYTE_ARRAY];

/** The physical types that an encoding is defined for. */
export const PHYSICAL_OF: Readonly<Record<EncodingName, readonly number[]>> = {
  plain: [PHYSICAL.BOOLEAN, ...NUMBERS, ...FLOATS, ...BYTES, ...FIXED],
  rle_dictionary: [...NUMBERS, ...FLOATS, ...BYTES, ...FIXED],
  rle: [PHYSICAL.BOOLEAN],
  delta_binary_packed: NUMBERS,
  delta_length_byte_array: BYTES,
  delta_byte_array: [...BYTES, ...FIXED],
  byte_stream_split: [...NUMBERS, ...FLOATS, ...FIXED],
};

/** What takes the place of PLAIN, behind a dictionary, in the smallest form: by physical type. */
const COMPACT: Partial<Record<number, EncodingName>> = {
  [PHYSICAL.BOOLEAN]: 'rle',
  [PHYSICAL.INT32]: 'delta_binary_packed',
  [PHYSICAL.INT64]: 'delta_binary_packed',
  [PHYSICAL.FLOAT]: 'byte_stream_split',
  [PHYSICAL.DOUBLE]: 'byte_stream_split',
  [PHYSICAL.BYTE_ARRAY]: 'delta_byte_array',
  [PHYSICAL.FIXED_LEN_BYTE_ARRAY]: 'delta_byte_array',
};

/** Whether a column's values take a dictionary, and how they are written where they take none. */
export interface EncodingChoice {
  dictionary: boolean;
  plain: EncodingName;
}

/** Throws `invalid` when the encoding is not defined for the column's physical type. */
export function chooseEncoding(leaf: Leaf, name: EncodingName): EncodingChoice {
  if (!PHYSICAL_OF[name].includes(leaf.physical)) {
    const legal = Object.entries(PHYSICAL_OF).flatMap(([other, types]) => (types.includes(leaf.physical) ? other : []));
    throw new MillraceError(
      'invalid',
      `Column "${leaf.path.join('.')}" of type ${leaf.type.kind} can't be written in ${name}: choose one of ${legal.join(', ')}`,
      { code: 'parquet-encoding', context: { column: leaf.path.join('.') } },
    );
  }
  return name === 'rle_dictionary' ? { dictionary: true, plain: 'plain' } : { dictionary: false, plain: name };
}

/** Of a column for which none was chosen; `allowed` says which of the newer ones every reader takes. */
export function defaultEncoding(
  leaf: Leaf,
  allowed: (name: EncodingName, physical: number) => boolean,
): EncodingChoice {
  const compact = COMPACT[leaf.physical];
  const plain = compact !== undefined && allowed(compact, leaf.physical) ? compact : 'plain';
  return { dictionary: leaf.physical !== PHYSICAL.BOOLEAN, plain };
}

/** The writer of pages that are in no dictionary. */
export function pageWriter(leaf: Leaf, name: EncodingName): PageWriter {
  const { physical, fixedLength } = leaf;
  const width = physical === PHYSICAL.INT64 || physical === PHYSICAL.DOUBLE ? 2 : 1;
  const asPlain: PageWriter = (plain, _, out) => {
    out.append(plain);
    return ENCODING.PLAIN;
  };
  // A page without values is PLAIN: in the others it would be a header that some readers do not expect.
  const as =
    (encoding: number, write: (plain: Uint8Array, count: number, out: ByteBuffer) => void): PageWriter =>
    (plain, count, out) => {
      if (count === 0) return ENCODING.PLAIN;
      write(plain, count, out);
      return encoding;
    };
  switch (name) {
    case 'rle':
      return as(ENCODING.RLE, writeBooleans);
    case 'delta_binary_packed':
      return as(ENCODING.DELTA_BINARY_PACKED, (plain, count, out) =>
        writeDeltaBinary(new Int32Array(plain.buffer, plain.byteOffset, count * width), width, count, out),
      );
    case 'delta_length_byte_array':
      return as(ENCODING.DELTA_LENGTH_BYTE_ARRAY, writeDeltaLengths);
    case 'delta_byte_array':
      return as(ENCODING.DELTA_BYTE_ARRAY, (plain, count, out) => writeDeltaBytes(plain, count, fixedLength, out));
    case 'byte_stream_split':
      return as(ENCODING.BYTE_STREAM_SPLIT, (plain, count, out) =>
        writeByteStreams(plain, count, fixedLength || 4 * width, out),
      );
    default:
      return asPlain;
  }
}

let flags = new Uint8Array(0);

/** RLE of booleans: the hybrid of width 1, its length in four bytes before it. */
function writeBooleans(plain: Uint8Array, count: number, out: ByteBuffer): void {
  if (flags.length < count) flags = new Uint8Array(count);
  for (let i = 0; i < count; i++) flags[i] = (plain[i >> 3]! >> (i & 7)) & 1;
  out.reserve(4);
  const at = out.length;
  out.length += 4;
  writeLevels(flags, count, 1, out);
  out.view.setUint32(at, out.length - at - 4, true);
}
