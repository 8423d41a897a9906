import { compileAvroDecoder, createPlainDecoder, type RunDecoders } from '@millrace/columns';
import { deriveTableSchema, FRAME_BYTES, parseAvroSchema, type TableSchema } from '@millrace/schema';
import { type DataSet, SCHEMA_ID } from '../data-sets/data-set.ts';

/**
 * A data set's table, as metadata-discovery derives it from a topic without a key schema, and its decoders; or of the
 * value alone, with nothing of Kafka's but partition and offset.
 */
export function createDecoders(
  dataSet: DataSet,
  extent: 'whole' | 'value' = 'whole',
): { table: TableSchema; decoders: RunDecoders } {
  const schema = parseAvroSchema(dataSet.schemaText);
  const keyEncoding = extent === 'whole' ? 'bytes' : 'none';
  const table = deriveTableSchema({
    value: { encoding: 'avro', schema },
    key: { encoding: keyEncoding },
    ...(extent === 'whole' ? {} : { kafkaColumns: ['partition', 'offset'] }),
  });
  return {
    table,
    decoders: {
      value: compileAvroDecoder(schema, table, 'value'),
      valueSkip: FRAME_BYTES,
      key: createPlainDecoder(keyEncoding, table, 'key'),
      kafka: { partition: 0, schemaId: SCHEMA_ID },
    },
  };
}
