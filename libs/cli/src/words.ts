import { MillraceError } from '@millrace/base';
import { ErrorPolicy, type PartitionOffsets, TableFormat } from '@millrace/proto/common';
import { InvalidArgumentError } from 'commander';

const FORMATS = { iceberg: TableFormat.ICEBERG, delta: TableFormat.DELTA } as const;
const POLICIES = { suspend: ErrorPolicy.SUSPEND, skip: ErrorPolicy.SKIP, log: ErrorPolicy.LOG } as const;

/** "iceberg", "delta" or both with a comma. */
export function parseFormats(text: string): TableFormat[] {
  return text.split(',').map((word) => {
    const format = FORMATS[word.trim() as keyof typeof FORMATS];
    if (format === undefined) throw new InvalidArgumentError(`legal: iceberg, delta, or iceberg,delta`);
    return format;
  });
}

export const formatNames = (formats: TableFormat[]): string =>
  Object.entries(FORMATS)
    .filter(([, format]) => formats.includes(format))
    .map(([name]) => name)
    .join(', ');

export function parsePolicy(text: string): ErrorPolicy {
  const policy = POLICIES[text as keyof typeof POLICIES];
  if (policy === undefined) throw new InvalidArgumentError('legal: suspend, skip, log');
  return policy;
}

export const policyName = (policy: ErrorPolicy): string =>
  Object.entries(POLICIES).find(([, value]) => value === policy)?.[0] ?? 'suspend';

const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "500ms", "10s", "5m", "12h", "7d" in milliseconds. */
export function parseDuration(text: string): bigint {
  const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('a number and a unit: 500ms, 10s, 5m, 12h, 7d');
  return BigInt(match[1]!) * BigInt(UNIT_MS[match[2]!]!);
}

const UNIT_BYTES: Record<string, number> = { '': 1, K: 1_024, M: 1_024 ** 2, G: 1_024 ** 3 };

/** "128M", "1G", "4096" in bytes. */
export function parseBytes(text: string): bigint {
  const match = /^(\d{1,12})([KMG]?)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('a number of bytes, or with K, M or G: 128M');
  return BigInt(match[1]!) * BigInt(UNIT_BYTES[match[2]!]!);
}

export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a whole number');
  return Number(text);
}

/** "0:[0,500) 1:[0,480)" */
export const offsetsText = (offsets: PartitionOffsets[]): string =>
  [...offsets]
    .sort((a, b) => a.partition - b.partition)
    .map(({ partition, startOffset, endOffset }) => `${partition}:[${startOffset},${endOffset})`)
    .join(' ');

/** The table's answer, or an error that says where to look. */
export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new MillraceError('internal', `the service answered without ${what}`);
  return value;
}

const FORMAT_OPTIONS = { framing: 'framing', schema: 'fixedSchemaId', message: 'message', nanos: 'nanos' } as const;

/** "json" or "protobuf,schema=17,message=shop.Order,nanos=truncate": how keys or values are encoded. */
export function parseRecordFormat(text: string) {
  const [encoding, ...options] = text.split(',');
  const format: { encoding: string; framing?: string; fixedSchemaId?: number; message?: string; nanos?: string } = {
    encoding: encoding!,
  };
  for (const option of options) {
    const [name, value] = option.split('=');
    const key = Object.hasOwn(FORMAT_OPTIONS, name!) ? FORMAT_OPTIONS[name as keyof typeof FORMAT_OPTIONS] : undefined;
    if (key === undefined || !value || (key === 'fixedSchemaId' && !/^\d{1,9}$/.test(value)))
      throw new InvalidArgumentError(`${option} is not one of ${Object.keys(FORMAT_OPTIONS).join('=…, ')}=…`);
    Object.assign(format, { [key]: key === 'fixedSchemaId' ? Number(value) : value });
  }
  return format;
}
