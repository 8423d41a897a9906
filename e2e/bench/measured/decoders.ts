import {
  compileAvroDecoder,
  compileJsonDecoder,
  compileProtobufDecoder,
  createPlainDecoder,
  type Decoder,
  type RunDecoders,
} from '@millrace/columns';
import {
  type ColumnSource,
  deriveTableSchema,
  FRAME_BYTES,
  parseAvroSchema,
  parseJsonSchema,
  parseProtobufSchema,
  type TableSchema,
} from '@millrace/schema';
import { type DataSet, PROTOBUF_FRAME, SCHEMA_ID } from '../data-sets/data-set.ts';

/**
 * A data set's table, as metadata-discovery derives it from a topic without a key schema, and its decoders; or of the
 * value alone, with nothing of Kafka's but partition and offset.
 */
export function createDecoders(
  dataSet: DataSet,
  extent: 'whole' | 'value' = 'whole',
): { table: TableSchema; decoders: RunDecoders } {
  const { source, compile } = valueSource(dataSet);
  const keyEncoding = extent === 'whole' ? 'bytes' : 'none';
  const table = deriveTableSchema({
    value: source,
    key: { encoding: keyEncoding },
    ...(extent === 'whole' ? {} : { kafkaColumns: ['partition', 'offset'] }),
  });
  return {
    table,
    decoders: {
      value: compile(table),
      valueSkip: dataSet.encoding === 'protobuf' ? PROTOBUF_FRAME.length : FRAME_BYTES,
      key: createPlainDecoder(keyEncoding, table, 'key'),
      kafka: { partition: 0, schemaId: SCHEMA_ID },
    },
  };
}

function valueSource({ encoding, schemaText }: DataSet): {
  source: ColumnSource;
  compile: (table: TableSchema) => Decoder;
} {
  switch (encoding) {
    case 'avro': {
      const schema = parseAvroSchema(schemaText);
      return { source: { encoding, schema }, compile: (table) => compileAvroDecoder(schema, table, 'value') };
    }
    case 'json': {
      const schema = parseJsonSchema(schemaText);
      return { source: { encoding, schema }, compile: (table) => compileJsonDecoder(schema, table, 'value') };
    }
    case 'protobuf': {
      const { messages, types } = parseProtobufSchema(schemaText);
      const writer = { message: messages[0]!, types };
      return {
        source: { encoding, schema: writer.message },
        compile: (table) => compileProtobufDecoder(writer, table, 'value'),
      };
    }
  }
}
