import type { JsonLeaf } from './json-schema.ts';
import type { SingleValue } from './single-value.ts';
import type { PrimitiveType } from './table-schema.ts';

/** Why a JSON value is none for its column. */
export class JsonMisfit extends Error {}

/** A scalar as it stands in JSON text: strings without quotes and escapes, numbers as their digits. */
export type JsonScalar = { string: string } | { number: string } | boolean;

/**
 * A JSON scalar as a column's value, exactly: what would have to be rounded, cut or guessed throws JsonMisfit. Doubles
 * alone are rounded, as IEEE 754 does. date-time, date and time are RFC 3339; times are told in UTC.
 */
export function jsonSingleValue(leaf: JsonLeaf, column: PrimitiveType, value: JsonScalar): SingleValue {
  if (leaf.kind === 'boolean') {
    if (typeof value !== 'boolean') throw misfit(value, 'a boolean');
    return value;
  }
  if (leaf.kind === 'string') {
    if (typeof value === 'boolean' || !('string' in value)) throw misfit(value, 'a string');
    return textValue(leaf.format, column, value.string);
  }
  if (typeof value === 'boolean' || !('number' in value)) throw misfit(value, 'a number');
  return numberValue(column, value.number);
}

function numberValue(column: PrimitiveType, digits: string): SingleValue {
  switch (column.kind) {
    case 'double':
    case 'float': {
      const number = Number(digits);
      if (!Number.isFinite(number))
        throw new JsonMisfit(`the number ${short(digits)} is beyond what a double can hold`);
      return number;
    }
    case 'decimal': {
      const { precision, scale } = column;
      const unscaled = scaled(digits, scale, 38);
      if (unscaled === undefined) throw new JsonMisfit(`the number ${short(digits)} has more than ${scale} decimals`);
      const most = 10n ** BigInt(precision);
      if (unscaled === 'large' || unscaled >= most || unscaled <= -most)
        throw new JsonMisfit(
          `the number ${short(digits)} has more than ${precision} digits with the ${scale} after the point`,
        );
      return unscaled;
    }
    default: {
      const bits = column.kind === 'int' ? 32 : 64;
      const integer = scaled(digits, 0, 20);
      if (integer === undefined) throw new JsonMisfit(`the number ${short(digits)} is no integer`);
      if (integer === 'large' || BigInt.asIntN(bits, integer) !== integer)
        throw new JsonMisfit(`the integer ${short(digits)} has more than ${bits} bits`);
      return bits === 32 ? Number(integer) : integer;
    }
  }
}

/** digits × 10^scale; undefined when that is no integer, 'large' when it has more than `most` digits. */
function scaled(digits: string, scale: number, most: number): bigint | undefined | 'large' {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(digits);
  if (!match) throw new JsonMisfit(`${short(digits)} is no number`);
  const all = (match[2]! + (match[3] ?? '')).replace(/^0+/, '');
  const trimmed = withoutLastZeros(all);
  if (trimmed === '') return 0n;
  const shift = Number(match[4] ?? 0) - (match[3] ?? '').length + scale + all.length - trimmed.length;
  if (shift < 0) return undefined;
  if (shift + trimmed.length > most) return 'large';
  return BigInt(match[1]! + trimmed + '0'.repeat(shift));
}

// A regular expression would look at each run of zeros once for each of them.
function withoutLastZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits[end - 1] === '0') end--;
  return digits.slice(0, end);
}

function textValue(format: string | undefined, column: PrimitiveType, text: string): SingleValue {
  switch (column.kind) {
    case 'timestamp':
      return instant(text);
    case 'date':
      return day(text);
    case 'long':
    case 'time':
      return timeOfDay(text);
    case 'binary':
      return format === 'base64' ? base64(text) : new Uint8Array(Buffer.from(text));
    case 'uuid':
      if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) throw new JsonMisfit(`${quote(text)} is no uuid`);
      return text.toLowerCase();
    default:
      return text;
  }
}

const CLOCK = String.raw`(\d\d):(\d\d):(\d\d)(?:\.(\d+))?`;
const OFFSET = String.raw`(?:[Zz]|([+-])(\d\d):(\d\d))`;
const INSTANT = new RegExp(`^(\\d{4}-\\d\\d-\\d\\d)[Tt ]${CLOCK}${OFFSET}$`);
const TIME = new RegExp(`^${CLOCK}(?:${OFFSET})?$`);
const DAY_MICROS = 86_400_000_000n;

/** RFC 3339 date-time → microseconds since the epoch. */
function instant(text: string): bigint {
  const match = INSTANT.exec(text);
  if (!match)
    throw new JsonMisfit(`${quote(text)} is no date-time with an offset from UTC, such as 2026-11-22T23:05:00Z`);
  return BigInt(day(match[1]!)) * DAY_MICROS + clock(text, match.slice(2));
}

function timeOfDay(text: string): bigint {
  const match = TIME.exec(text);
  if (!match) throw new JsonMisfit(`${quote(text)} is no time of day, such as 23:05:00Z`);
  return ((clock(text, match.slice(1)) % DAY_MICROS) + DAY_MICROS) % DAY_MICROS;
}

function clock(text: string, parts: (string | undefined)[]): bigint {
  const [hours, minutes, seconds] = parts.slice(0, 3).map(Number) as [number, number, number];
  const [offsetHours, offsetMinutes] = parts.slice(5, 7).map((part) => Number(part ?? 0)) as [number, number];
  if (hours > 23 || minutes > 59 || seconds > 59 || offsetHours > 23 || offsetMinutes > 59)
    throw new JsonMisfit(`${quote(text)} has a time that there is not`);
  const fraction = withoutLastZeros(parts[3] ?? '');
  if (fraction.length > 6) throw new JsonMisfit(`${quote(text)} is finer than a microsecond`);
  const offset = (offsetHours * 60 + offsetMinutes) * (parts[4] === '-' ? -60 : 60);
  return BigInt(hours * 3600 + minutes * 60 + seconds - offset) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
}

/** Full date → days since the epoch. */
function day(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  // Date.parse lets some days run over into the next month.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text)
    throw new JsonMisfit(`${quote(text)} is no date, such as 2026-11-22`);
  return ms / 86_400_000;
}

/** RFC 4648, either alphabet, with or without padding. */
function base64(text: string): Uint8Array {
  const body = text.replace(/={1,2}$/, '');
  const bytes = new Uint8Array(Buffer.from(body, 'base64'));
  const again = Buffer.from(bytes).toString('base64url');
  const padded = body.length === text.length || text.length % 4 === 0;
  if (!padded || again !== body.replaceAll('+', '-').replaceAll('/', '_'))
    throw new JsonMisfit(`${quote(text)} is no base64`);
  return bytes;
}

function misfit(value: JsonScalar, wanted: string): JsonMisfit {
  if (typeof value === 'boolean') return new JsonMisfit(`${value} stands where ${wanted} must be`);
  if ('string' in value) return new JsonMisfit(`the string ${quote(value.string)} stands where ${wanted} must be`);
  return new JsonMisfit(`the number ${short(value.number)} stands where ${wanted} must be`);
}

const short = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);
const quote = (text: string): string => JSON.stringify(short(text));
