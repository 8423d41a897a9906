import { parseAvroSchema } from './avro-parse.ts';
import { formatAvroSchema } from './avro-schema.ts';
import { bundleJsonSchema } from './json-documents.ts';
import { parseJsonSchema } from './json-parse.ts';
import { formatProtobufBundle, parseProtobufSchema } from './protobuf-file.ts';
import type { SchemaLanguage } from './schema-source.ts';

/** A schema with what it refers to, by the names that it uses, written into one text. */
export function selfContained(type: SchemaLanguage, text: string, references: ReadonlyMap<string, string>): string {
  if (references.size === 0) return text;
  if (type === 'protobuf') return formatProtobufBundle(text, references);
  if (type === 'json') return bundleJsonSchema(text, references);
  return formatAvroSchema(parseAvroSchema(text, references.values()));
}

/** Reads a schema's text only to see that it is one. Throws `invalid`. */
export function checkSchema(type: SchemaLanguage, text: string): void {
  if (type === 'protobuf') parseProtobufSchema(text);
  else if (type === 'json') parseJsonSchema(text);
  else parseAvroSchema(text);
}
