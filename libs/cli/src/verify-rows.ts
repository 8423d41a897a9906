import { toMillraceError } from '@millrace/base';
import type { Int32Vector, Int64Vector, StructVector } from '@millrace/columns';
import type { ObjectStore } from '@millrace/object-store';
import { openParquet, type ParquetFile } from '@millrace/parquet';
import type { TableSchema } from '@millrace/schema';
import type { Evidence, Finding, Positions } from './verify.ts';

export interface RowsResult {
  rowsRead: bigint;
  findings: Finding[];
}

const SOURCE = 'rows';
/** Findings that are told one by one. */
const MAX_FINDINGS = 20;
/** A bitmap of the offsets of one partition: 512 MB of memory at the most. */
const MAX_SPAN = 4_294_967_296n;

/**
 * Reads `_kafka.partition` and `_kafka.offset` of every row of every live file: each offset lies inside its partition's range,
 * and none is there twice. Memory: one bit for each offset of the ranges.
 */
export async function checkRows(store: ObjectStore, evidence: Evidence): Promise<RowsResult> {
  const positions: Positions = evidence.steps.at(-1)?.positions ?? new Map();
  const findings: Finding[] = [];
  let more = 0;
  const say = (problem: string) => {
    if (findings.length < MAX_FINDINGS) findings.push({ source: SOURCE, problem });
    else more++;
  };
  const seen = new Map<number, Uint8Array>();
  for (const [partition, [start, end]] of positions) {
    if (end - start > MAX_SPAN) say(`partition ${partition} has ${end - start} offsets: too many to check row by row`);
    else seen.set(partition, new Uint8Array(Number((end - start + 7n) / 8n)));
  }
  let rowsRead = 0n;
  for (const [path, rows] of evidence.files) {
    try {
      const file = await open(store, path);
      if (BigInt(file.rowCount) !== rows) say(`${path} has ${file.rowCount} rows, its commit says ${rows}`);
      for await (const [partition, offset] of offsetsOf(file)) {
        rowsRead++;
        const range = positions.get(partition);
        const bits = seen.get(partition);
        if (range === undefined) say(`${path}: a row of partition ${partition}, which the table does not cover`);
        else if (bits === undefined) continue;
        else {
          const at = offset - Number(range[0]);
          if (at < 0 || offset >= Number(range[1])) {
            say(`${path}: offset ${offset} of partition ${partition} lies outside [${range[0]}, ${range[1]})`);
          } else if ((bits[at >> 3]! & (1 << (at & 7))) !== 0)
            say(`${path}: offset ${offset} of partition ${partition} is there twice`);
          else bits[at >> 3]! |= 1 << (at & 7);
        }
      }
    } catch (error) {
      say(`${path} can't be read: ${toMillraceError(error).message}`);
    }
  }
  if (more > 0) findings.push({ source: SOURCE, problem: `… and ${more} more` });
  return { rowsRead, findings };
}

async function open(store: ObjectStore, path: string): Promise<ParquetFile> {
  const info = await store.head(path);
  if (info === undefined) throw new Error('it is not there');
  return openParquet({ size: info.sizeBytes, read: (start, end) => store.get(path, { start, end }) }, { name: path });
}

async function* offsetsOf(file: ParquetFile): AsyncGenerator<[partition: number, offset: number]> {
  const kafka = file.schema.fields.find(({ name }) => name === '_kafka');
  if (kafka?.type.kind !== 'struct') throw new Error('it has no column _kafka');
  const fields = kafka.type.fields.filter(({ name }) => name === 'partition' || name === 'offset');
  const wanted: TableSchema = { ...file.schema, fields: [{ ...kafka, type: { kind: 'struct', fields } }] };
  const [p, o] = ['partition', 'offset'].map((name) => fields.findIndex((field) => field.name === name)) as [
    number,
    number,
  ];
  for await (const batch of file.readAs(wanted)) {
    const column = batch.columns[0] as StructVector;
    const partitions = (column.fields[p] as Int32Vector).values;
    const offsets = (column.fields[o] as Int64Vector).values;
    for (let i = 0; i < batch.length; i++) {
      yield [partitions[i]!, (offsets[2 * i]! >>> 0) + offsets[2 * i + 1]! * 4_294_967_296];
    }
  }
}
