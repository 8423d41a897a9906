export * from './append.ts';
export { compileAvroDecoder, type Decoder, type DecoderOptions } from './avro-decoder.ts';
export { compileJsonDecoder, createJsonTextDecoder } from './json-decoder.ts';
export type { KafkaPlace } from './kafka-columns.ts';
export * from './plain-decoder.ts';
export { compileProtobufDecoder } from './protobuf-decoder.ts';
export { createRowBuilder, type RowBuilder } from './row-builder.ts';
export * from './vector.ts';
