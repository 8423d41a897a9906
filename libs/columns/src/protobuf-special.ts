import { bytesBigint, type NanosRule } from '@millrace/schema';
import { BadRecord } from './avro-value.ts';

const MICROS_A_DAY = 86_400_000_000n;

/** google.protobuf.Timestamp in microseconds since the epoch, or in nanoseconds under the rule `long`. */
export function timestampValue(seconds: bigint, nanos: number, rule: NanosRule): bigint {
  if (nanos < 0 || nanos > 999_999_999) throw new BadRecord(`a Timestamp has ${nanos} nanoseconds`);
  const value = inUnit(seconds * 1_000_000_000n + BigInt(nanos), rule);
  if (BigInt.asIntN(64, value) !== value)
    throw new BadRecord(
      `a Timestamp of ${seconds} seconds does not fit 64 bits in ${rule === 'long' ? 'nano' : 'micro'}seconds`,
    );
  return value;
}

function inUnit(nanos: bigint, rule: NanosRule): bigint {
  if (rule === 'long') return nanos;
  const rest = ((nanos % 1000n) + 1000n) % 1000n;
  if (rest !== 0n && rule === 'exact')
    throw new BadRecord(
      'it has nanoseconds that microseconds can not hold: declare "nanos: truncate" or "nanos: long" for the topic',
    );
  return (nanos - rest) / 1000n;
}

/** google.type.TimeOfDay in microseconds of the day, or in nanoseconds under the rule `long`; 24:00:00 and leap seconds are legal. */
export function timeValue([hours, minutes, seconds, nanos]: readonly number[], rule: NanosRule): bigint {
  const legal =
    inRange(hours!, 0, 24) && inRange(minutes!, 0, 59) && inRange(seconds!, 0, 60) && inRange(nanos!, 0, 999_999_999);
  const micros = BigInt(hours! * 3600 + minutes! * 60 + seconds!) * 1_000_000n;
  if (!legal || micros > MICROS_A_DAY)
    throw new BadRecord(`${hours}:${minutes}:${seconds} and ${nanos} ns is no time of day`);
  return inUnit(micros * 1000n + BigInt(nanos!), rule);
}

const inRange = (value: number, least: number, most: number): boolean => value >= least && value <= most;

/** google.type.Date in days since 1970-01-01. A date without year, month or day has no such form. */
export function dateValue([year, month, day]: readonly number[]): number {
  const ms = Date.UTC(2000, month! - 1, day);
  const date = new Date(ms);
  date.setUTCFullYear(year!, month! - 1, day);
  const legal = inRange(year!, 1, 9999) && inRange(month!, 1, 12) && inRange(day!, 1, 31);
  if (!legal || date.getUTCMonth() !== month! - 1 || date.getUTCDate() !== day)
    throw new BadRecord(`the Date ${year}-${month}-${day} is no whole date`);
  return date.getTime() / 86_400_000;
}

/** google.type.Decimal ("-1.5e3") as an unscaled number with `scale` digits after the point. */
export function decimalOfText(text: string, precision: number, scale: number): bigint {
  const match = /^([+-]?)(\d{0,1000})(?:\.(\d{0,1000}))?(?:[eE]([+-]?\d{1,4}))?$/.exec(text);
  const digits = match && match[2]! + (match[3] ?? '');
  // The empty text stands for 0.
  if (text === '') return 0n;
  if (!digits) throw new BadRecord(`${JSON.stringify(text.slice(0, 60))} is no decimal`);
  return rescaled(
    BigInt(match[1] === '-' ? `-${digits}` : digits),
    (match[3] ?? '').length - Number(match[4] ?? 0),
    precision,
    scale,
  );
}

/** confluent.type.Decimal: an unscaled big-endian number with its own scale. */
export function decimalOfBytes(bytes: Uint8Array, written: number, precision: number, scale: number): bigint {
  if (bytes.length > 1000) throw new BadRecord(`a Decimal has ${bytes.length} bytes`);
  return rescaled(bytesBigint(bytes), written, precision, scale);
}

// Nothing is rounded: digits that the column has no place for make the record undecodable.
function rescaled(unscaled: bigint, from: number, precision: number, to: number): bigint {
  if (unscaled === 0n) return 0n;
  const growth = to - from;
  const misfit = (): BadRecord =>
    new BadRecord(
      `a Decimal does not fit decimal(${precision}, ${to}): declare its digits with (confluent.field_meta), params precision and scale`,
    );
  if (growth > 38 || growth < -1000) throw misfit();
  const factor = 10n ** BigInt(Math.abs(growth));
  if (growth < 0 && unscaled % factor !== 0n) throw misfit();
  const value = growth < 0 ? unscaled / factor : unscaled * factor;
  const most = 10n ** BigInt(precision);
  if (value >= most || value <= -most) throw misfit();
  return value;
}
