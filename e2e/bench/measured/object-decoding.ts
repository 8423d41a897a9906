import { fromBinary } from '@bufbuild/protobuf';
import { FRAME_BYTES } from '@millrace/schema';
import avsc from 'avsc';
import { PROTOBUF_FRAME } from '../data-sets/data-set.ts';
import { dataSetOf } from '../data-sets/index.ts';
import { orderMessage } from '../data-sets/orders-protobuf.ts';
import { createOrderColumns } from './order-columns.ts';
import { createLaps, type Round } from './round.ts';
import { readRecords } from './segment-batches.ts';

export interface ObjectDecodingJob {
  kind: 'object-decoding';
  dataSet: string;
  folder: string;
  by: 'avsc' | 'protobuf-es' | 'JSON.parse';
}

/**
 * Values as the common libraries decode them: avsc and protobuf-es to an object a record and no further; JSON.parse to an
 * object and then into columns.
 */
export function createObjectDecoding({ dataSet, folder, by }: ObjectDecodingJob): () => Promise<Round> {
  const begin = () => decoderOf(by, dataSetOf(dataSet).schemaText);
  return async () => {
    const laps = createLaps(['decode']);
    let [records, bytes] = [0, 0];
    const decode = begin();
    for (const index of readRecords(folder)) {
      const source = Buffer.from(index.bytes.buffer, index.bytes.byteOffset, index.byteLength);
      const { valueStarts, valueLengths } = index;
      laps.lap();
      for (let i = 0; i < index.count; i++) {
        decode(source, valueStarts[i]!, valueStarts[i]! + valueLengths[i]!);
        bytes += valueLengths[i]!;
      }
      laps.lap('decode');
      records += index.count;
    }
    return { cpuSeconds: laps.spent.decode, records, bytes };
  };
}

function decoderOf(
  by: ObjectDecodingJob['by'],
  schemaText: string,
): (source: Buffer, start: number, end: number) => unknown {
  switch (by) {
    case 'avsc': {
      const type = avsc.Type.forSchema(JSON.parse(schemaText) as avsc.Schema, { wrapUnions: false });
      return (source, start, end) => type.fromBuffer(source.subarray(start + FRAME_BYTES, end));
    }
    case 'protobuf-es': {
      const message = orderMessage();
      return (source, start, end) => fromBinary(message, source.subarray(start + PROTOBUF_FRAME.length, end));
    }
    case 'JSON.parse': {
      const columns = createOrderColumns();
      return (source, start, end) => columns.append(JSON.parse(source.toString('utf8', start + FRAME_BYTES, end)));
    }
  }
}
