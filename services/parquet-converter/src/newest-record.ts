import type { WrittenFile } from './data-files.ts';

interface JsonField {
  id: number;
  name: string;
  type: { fields?: JsonField[] } | string;
}

/** The latest Kafka timestamp of the rows in a split's files, in milliseconds; 0 where the table has no such column. */
export function newestRecordMs(tableSchemaJson: string, files: readonly WrittenFile[]): bigint {
  const { fields } = JSON.parse(tableSchemaJson) as { fields: JsonField[] };
  const kafka = fields.find(({ name }) => name === '_kafka')?.type;
  const id = typeof kafka === 'object' ? kafka.fields?.find(({ name }) => name === 'timestamp')?.id : undefined;
  let newest = 0n;
  for (const { stats } of files) {
    const bound = stats.columns.find(({ fieldId }) => fieldId === id)?.upperBound;
    if (bound === undefined) continue;
    // Iceberg, appendix D: a timestamptz is microseconds, little endian.
    const ms = new DataView(bound.buffer, bound.byteOffset, bound.byteLength).getBigInt64(0, true) / 1_000n;
    if (ms > newest) newest = ms;
  }
  return newest;
}
