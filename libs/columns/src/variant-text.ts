import { MillraceError } from '@millrace/base';
import { decimalText, nanosText, timestampText } from '@millrace/schema';
import { BASIC, VARIANT } from './variant.ts';

const MAX_DEPTH = 500;

/**
 * The JSON text of a binary variant (VariantEncoding.md, version 1; grammar at variantFromJson). Numbers keep all digits;
 * what JSON has no type for is a string: dates and times in ISO 8601 (UTC with a Z), binary in base 64, uuids, and NaN and
 * the infinities by name. Throws `corrupt` (code "variant") for bytes that are no variant.
 */
export function variantToJson(metadata: Uint8Array, value: Uint8Array): string {
  const names = readNames(bufferOf(metadata));
  return textOf({ bytes: bufferOf(value), names, left: value.length }, 0, 0);
}

interface Source {
  bytes: Buffer;
  names: string[];
  /** How many values there can still be, each of a byte at the least: hostile offsets lead to one of them again and again. */
  left: number;
}

const bufferOf = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

const corrupt = (what: string) => new MillraceError('corrupt', `No variant: ${what}`, { code: 'variant' });

function uint(bytes: Buffer, at: number, width: number): number {
  if (at + width > bytes.length) throw corrupt('it is cut short');
  return bytes.readUIntLE(at, width);
}

function slice(bytes: Buffer, at: number, length: number): Buffer {
  if (length > bytes.length - at) throw corrupt('it is cut short');
  return bytes.subarray(at, at + length);
}

function readNames(bytes: Buffer): string[] {
  const header = uint(bytes, 0, 1);
  if ((header & 15) !== 1) throw corrupt(`version ${header & 15}`);
  const width = (header >> 6) + 1;
  const count = uint(bytes, 1, width);
  if ((count + 2) * width + 1 > bytes.length) throw corrupt('it is cut short');
  const begin = 1 + (count + 2) * width;
  return Array.from({ length: count }, (_, id) => {
    const from = uint(bytes, 1 + (id + 1) * width, width);
    const to = uint(bytes, 1 + (id + 2) * width, width);
    if (from > to) throw corrupt('names overlap');
    return slice(bytes, begin + from, to - from).toString();
  });
}

function textOf(source: Source, at: number, depth: number): string {
  if (depth > MAX_DEPTH) throw corrupt(`more than ${MAX_DEPTH} levels`);
  if (--source.left < 0) throw corrupt('values overlap');
  const { bytes, names } = source;
  const header = uint(bytes, at, 1);
  const details = header >> 2;
  const basic = header & 3;
  if (basic === BASIC.PRIMITIVE) return primitive(bytes, details, at + 1);
  if (basic === BASIC.SHORT_STRING) return JSON.stringify(slice(bytes, at + 1, details).toString());
  const width = (details & 3) + 1;
  const idWidth = basic === BASIC.OBJECT ? ((details >> 2) & 3) + 1 : 0;
  const large = (details & (basic === BASIC.OBJECT ? 16 : 4)) !== 0 ? 4 : 1;
  const count = uint(bytes, at + 1, large);
  const ids = at + 1 + large;
  const offsets = ids + count * idWidth;
  const values = offsets + (count + 1) * width;
  if (values > bytes.length) throw corrupt('it is cut short');
  // A value lies behind its header, so that hostile offsets can't go round in circles.
  const parts = Array.from({ length: count }, (_, i) =>
    textOf(source, values + uint(bytes, offsets + i * width, width), depth + 1),
  );
  if (basic === BASIC.ARRAY) return `[${parts.join(',')}]`;
  return `{${parts
    .map((part, i) => {
      const name = names[uint(bytes, ids + i * idWidth, idWidth)];
      if (name === undefined) throw corrupt('a name that is not there');
      return `${JSON.stringify(name)}:${part}`;
    })
    .join(',')}}`;
}

function primitive(bytes: Buffer, type: number, at: number): string {
  const integer = (length: number, from = at) => {
    const hex = Buffer.from(slice(bytes, from, length))
      .reverse()
      .toString('hex');
    return BigInt.asIntN(8 * length, BigInt(`0x${hex}`));
  };
  const decimal = (length: number) => {
    const scale = uint(bytes, at, 1);
    if (scale > 38) throw corrupt(`a decimal of scale ${scale}`);
    return decimalText(integer(length, at + 1), scale);
  };
  const quoted = (text: string) => JSON.stringify(text);
  switch (type) {
    case VARIANT.NULL:
      return 'null';
    case VARIANT.TRUE:
      return 'true';
    case VARIANT.FALSE:
      return 'false';
    case VARIANT.INT8:
    case VARIANT.INT16:
    case VARIANT.INT32:
    case VARIANT.INT64:
      return integer(1 << (type - VARIANT.INT8)).toString();
    case VARIANT.DOUBLE:
      return double(slice(bytes, at, 8).readDoubleLE());
    case VARIANT.FLOAT:
      return double(slice(bytes, at, 4).readFloatLE());
    case VARIANT.DECIMAL4:
    case VARIANT.DECIMAL8:
    case VARIANT.DECIMAL16:
      return decimal(4 << (type - VARIANT.DECIMAL4));
    case VARIANT.DATE:
      return quoted(timestampText(integer(4) * 86_400_000_000n).replace(/T.*/, ''));
    case VARIANT.TIMESTAMP:
      return quoted(`${timestampText(integer(8))}Z`);
    case VARIANT.TIMESTAMP_NTZ:
      return quoted(timestampText(integer(8)));
    case VARIANT.TIMESTAMP_NANOS:
      return quoted(`${nanosText(integer(8))}Z`);
    case VARIANT.TIMESTAMP_NTZ_NANOS:
      return quoted(nanosText(integer(8)));
    case VARIANT.TIME:
      return quoted(timestampText(integer(8)).slice(11));
    case VARIANT.BINARY:
      return quoted(slice(bytes, at + 4, uint(bytes, at, 4)).toString('base64'));
    case VARIANT.STRING:
      return quoted(slice(bytes, at + 4, uint(bytes, at, 4)).toString());
    case VARIANT.UUID:
      return quoted(
        slice(bytes, at, 16)
          .toString('hex')
          .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
      );
    default:
      throw corrupt(`a value of the unknown type ${type}`);
  }
}

const double = (value: number) =>
  Object.is(value, -0) ? '-0.0' : Number.isFinite(value) ? String(value) : `"${value}"`;
