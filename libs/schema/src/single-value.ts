import { MillraceError } from '@millrace/base';
import { primitiveName } from './iceberg-json.ts';
import type { PrimitiveType } from './table-schema.ts';

/**
 * One value in memory: boolean → boolean; int, date (days) → number; long, time, timestamp (µs), timestamp_ns → bigint; float, double →
 * number; decimal → unscaled bigint; string, uuid (canonical text) → string; fixed, binary → bytes.
 */
export type SingleValue = boolean | number | bigint | string | Uint8Array;

/**
 * Iceberg's binary single-value form (specification, appendix D), in which bounds travel:
 *
 *   boolean 1 byte · int, date 4 LE · long, time, timestamp, timestamp_ns 8 LE · float 4 LE · double 8 LE · string UTF-8
 *   uuid 16 BE · fixed, binary as they are · decimal: unscaled, two's complement, BE, as few bytes as hold it
 */
export function encodeSingleValue(type: PrimitiveType, value: SingleValue): Uint8Array {
  switch (type.kind) {
    case 'boolean':
      return Uint8Array.of(value ? 1 : 0);
    case 'int':
    case 'date':
      return view(4, (v) => v.setInt32(0, value as number, true));
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamp_ns':
      return view(8, (v) => v.setBigInt64(0, value as bigint, true));
    case 'float':
      return view(4, (v) => v.setFloat32(0, value as number, true));
    case 'double':
      return view(8, (v) => v.setFloat64(0, value as number, true));
    case 'string':
      return new TextEncoder().encode(value as string);
    case 'uuid':
      return uuidBytes(value as string);
    case 'decimal':
      return bigintBytes(value as bigint);
    case 'fixed':
    case 'binary':
      return value as Uint8Array;
    case 'variant':
      throw noVariant();
  }
}

/**
 * Back from the binary form. Shorter ints and floats of a column that was widened later (4 bytes for long or double) are
 * read as what they were. Throws `corrupt` when the length does not fit the type.
 */
export function decodeSingleValue(type: PrimitiveType, bytes: Uint8Array): SingleValue {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sized = (...lengths: number[]): void => {
    if (!lengths.includes(bytes.length))
      throw new MillraceError('corrupt', `A ${primitiveName(type)} bound has ${bytes.length} bytes`, {
        code: 'single-value',
      });
  };
  switch (type.kind) {
    case 'boolean':
      sized(1);
      return bytes[0] !== 0;
    case 'int':
    case 'date':
      sized(4);
      return data.getInt32(0, true);
    case 'long':
      sized(4, 8);
      return bytes.length === 4 ? BigInt(data.getInt32(0, true)) : data.getBigInt64(0, true);
    case 'time':
    case 'timestamp':
    case 'timestamp_ns':
      sized(8);
      return data.getBigInt64(0, true);
    case 'float':
      sized(4);
      return data.getFloat32(0, true);
    case 'double':
      sized(4, 8);
      return bytes.length === 4 ? data.getFloat32(0, true) : data.getFloat64(0, true);
    case 'string':
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
    case 'uuid':
      sized(16);
      return uuidText(bytes);
    case 'decimal':
      return bytesBigint(bytes);
    case 'fixed':
      sized(type.length);
      return bytes;
    case 'binary':
      return bytes;
    case 'variant':
      throw noVariant();
  }
}

/** Neither bounds nor defaults (specification, "Variants"). */
const noVariant = () =>
  new MillraceError('unsupported', 'A variant has no single-value form', { code: 'single-value' });

/** Iceberg's JSON single-value form (appendix D): decimals, dates, times, uuids as text; fixed and binary as hex. */
export function singleValueToJson(type: PrimitiveType, value: SingleValue): unknown {
  switch (type.kind) {
    case 'decimal':
      return decimalText(value as bigint, type.scale);
    case 'date':
      return new Date((value as number) * 86_400_000).toISOString().replace(/T.*/, '');
    case 'time':
      return timestampText(value as bigint).slice(11);
    case 'timestamp':
      return timestampText(value as bigint) + (type.adjusted ? '+00:00' : '');
    case 'timestamp_ns':
      return nanosText(value as bigint) + (type.adjusted ? '+00:00' : '');
    case 'long': {
      // Digits as text where a JSON number, once read by JavaScript, would be another one.
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : String(value);
    }
    case 'float':
    case 'double':
      return Number.isFinite(value) ? value : String(value);
    case 'fixed':
    case 'binary':
      return Buffer.from(value as Uint8Array).toString('hex');
    default:
      return value;
  }
}

/** Back from the JSON form. Throws `invalid` (code "single-value") when it does not fit the type. */
export function singleValueFromJson(type: PrimitiveType, json: unknown): SingleValue {
  const value = readJson(type, json);
  if (value === undefined)
    throw new MillraceError(
      'invalid',
      `${(JSON.stringify(json) ?? 'nothing').slice(0, 100)} is no value of type ${primitiveName(type)}`,
      {
        code: 'single-value',
      },
    );
  return value;
}

function readJson(type: PrimitiveType, json: unknown): SingleValue | undefined {
  const text = typeof json === 'string' ? json : undefined;
  switch (type.kind) {
    case 'boolean':
      return typeof json === 'boolean' ? json : undefined;
    case 'int':
      return typeof json === 'number' && (json | 0) === json ? json : undefined;
    case 'long': {
      if (!(typeof json === 'number' && Number.isSafeInteger(json)) && !(text && /^-?\d{1,19}$/.test(text)))
        return undefined;
      const value = BigInt(json as number | string);
      return BigInt.asIntN(64, value) === value ? value : undefined;
    }
    case 'float':
    case 'double':
      return typeof json === 'number' ? json : text && /^(NaN|-?Infinity)$/.test(text) ? Number(text) : undefined;
    case 'decimal':
      return text === undefined ? undefined : readDecimal(text, type.precision, type.scale);
    case 'date': {
      const ms = text && /^[+-]?\d{4,6}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
      return Number.isNaN(ms) ? undefined : ms / 86_400_000;
    }
    case 'time':
      return text === undefined ? undefined : readTimestamp(`1970-01-01T${text}`, false);
    case 'timestamp':
      return text === undefined ? undefined : readTimestamp(text, type.adjusted);
    case 'timestamp_ns':
      return text === undefined ? undefined : readNanos(text, type.adjusted);
    case 'uuid':
      return text && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : undefined;
    case 'string':
      return text;
    case 'fixed':
    case 'binary': {
      if (text === undefined || text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) return undefined;
      const bytes = new Uint8Array(Buffer.from(text, 'hex'));
      return type.kind === 'binary' || bytes.length === type.length ? bytes : undefined;
    }
  }
}

function readDecimal(text: string, precision: number, scale: number): bigint | undefined {
  const match = /^(-?)(\d{1,38})(?:\.(\d{1,38}))?$/.exec(text);
  if (!match || (match[3] ?? '').length > scale) return undefined;
  const digits = BigInt(match[2]! + (match[3] ?? '').padEnd(scale, '0'));
  return digits < 10n ** BigInt(precision) ? (match[1] ? -digits : digits) : undefined;
}

function readTimestamp(text: string, adjusted: boolean): bigint | undefined {
  const match = /^([+-]\d{6}-\d\d-\d\dT|\d{4}-\d\d-\d\dT)(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|\+00:00)?$/.exec(text);
  if (!match || (match[4] !== undefined) !== adjusted) return undefined;
  const ms = Date.parse(`${match[1]}${match[2]}Z`);
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1000n + BigInt((match[3] ?? '').padEnd(6, '0'));
}

const MAX_DATE_MICROS = 8_640_000_000_000_000_000n;

/** Microseconds since the epoch as ISO 8601 without a zone, six fraction digits. Beyond JavaScript's dates: the digits. */
export function timestampText(micros: bigint): string {
  if (micros > MAX_DATE_MICROS || micros < -MAX_DATE_MICROS) return String(micros);
  const seconds = micros >= 0n ? micros / 1_000_000n : -((-micros + 999_999n) / 1_000_000n);
  const fraction = String(micros - seconds * 1_000_000n).padStart(6, '0');
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, -5)}.${fraction}`;
}

/** Nanoseconds since the epoch likewise, with nine fraction digits. */
export function nanosText(nanos: bigint): string {
  const micros = nanos >= 0n ? nanos / 1000n : -((-nanos + 999n) / 1000n);
  return timestampText(micros) + String(nanos - micros * 1000n).padStart(3, '0');
}

function readNanos(text: string, adjusted: boolean): bigint | undefined {
  const match = /^(.*\.\d{6})(\d{1,3})(Z|\+00:00)?$/.exec(text);
  const micros = readTimestamp(match ? match[1]! + (match[3] ?? '') : text, adjusted);
  return micros === undefined ? undefined : micros * 1000n + BigInt((match?.[2] ?? '').padEnd(3, '0'));
}

/** An unscaled decimal as plain digits with exactly `scale` of them after the point. */
export function decimalText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  const sign = unscaled < 0n ? '-' : '';
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** Two's complement, big endian, as few bytes as hold the value (one for 0). */
export function bigintBytes(value: bigint): Uint8Array {
  let length = 1;
  while (BigInt.asIntN(8 * length, value) !== value) length++;
  const bytes = new Uint8Array(length);
  for (let i = length - 1, rest = value; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 255n);
  return bytes;
}

/** A two's complement big-endian integer of any length; no bytes are 0. */
export function bytesBigint(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(
    8 * bytes.length,
    BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`),
  );
}

export function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const uuidBytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll('-', ''), 'hex'));

function view(length: number, write: (data: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length);
  write(new DataView(bytes.buffer));
  return bytes;
}
