import { MillraceError } from '@millrace/base';
import type { RecordFormat } from '@millrace/proto/metadata_discovery';
import {
  type ColumnSource,
  mainMessage,
  messageAt,
  messageNamed,
  nanosRule,
  type ProtobufMessage,
  parseAvroSchema,
  parseJsonSchema,
  parseProtobufSchema,
  type RegisteredSchema,
} from '@millrace/schema';

/** How keys or values are encoded (proto RecordFormat). */
export type Format = Pick<RecordFormat, 'encoding' | 'framing' | 'fixedSchemaId' | 'message' | 'nanos'>;

export const BYTES: Format = { encoding: 'bytes', framing: 'none', fixedSchemaId: 0, message: '', nanos: '' };

const ENCODINGS = ['avro', 'protobuf', 'json', 'bytes', 'string', 'none'];
const LANGUAGES = ['avro', 'protobuf', 'json'];
const FRAMINGS = ['confluent', 'none'];

/** Whether a format's records are read with a schema: not those of bytes and strings, nor JSON kept as text. */
export const usesSchemas = ({ encoding, framing, fixedSchemaId }: Format): boolean =>
  LANGUAGES.includes(encoding) && (framing === 'confluent' || fixedSchemaId !== 0);

/**
 * What was declared for a topic's keys or values, checked and written out: without a framing, a schema id means plain
 * records and none means Confluent's frame (for JSON: text without a schema). Undefined: nothing was declared.
 */
export function checkFormat(format: RecordFormat | undefined, role: 'key' | 'value'): RecordFormat | undefined {
  if (format === undefined || format.encoding === '') return undefined;
  const invalid = (message: string) =>
    new MillraceError('invalid', `${role}_format: ${message}`, { code: 'topic-settings' });
  const { encoding, fixedSchemaId, message, nanos } = format;
  if (!ENCODINGS.includes(encoding))
    throw invalid(`encoding "${encoding}" is not known; legal: ${ENCODINGS.join(', ')}`);
  const plain = fixedSchemaId !== 0 || encoding === 'json' || !LANGUAGES.includes(encoding);
  const framing = format.framing || (plain ? 'none' : 'confluent');
  if (!FRAMINGS.includes(framing)) throw invalid(`framing "${framing}" is not known; legal: ${FRAMINGS.join(', ')}`);
  if (framing === 'confluent' && !LANGUAGES.includes(encoding)) throw invalid(`${encoding} has no schema ids`);
  if (framing === 'confluent' && fixedSchemaId !== 0)
    throw invalid('framing confluent has the schema id in each record: leave fixed_schema_id out');
  if (framing === 'none' && fixedSchemaId === 0 && (encoding === 'avro' || encoding === 'protobuf'))
    throw invalid(`${encoding} without a frame needs fixed_schema_id, the id of the schema that all records have`);
  if (encoding !== 'protobuf' && (message !== '' || nanos !== '')) throw invalid('message and nanos are for protobuf');
  nanosRule(nanos);
  return { ...format, framing };
}

/** The columns of a schema in a format; without a schema those of the encoding itself. */
export function columnsOf(format: Format, schema: RegisteredSchema | undefined): ColumnSource {
  switch (schema?.type) {
    case 'avro':
      return { encoding: 'avro', schema: parseAvroSchema(schema.text) };
    case 'json':
      return { encoding: 'json', schema: parseJsonSchema(schema.text) };
    case 'protobuf':
      return { encoding: 'protobuf', schema: messageFor(format, schema), nanos: nanosRule(format.nanos) };
    default:
      if (format.encoding === 'json') return { encoding: 'json' };
      return { encoding: format.encoding === 'string' || format.encoding === 'none' ? format.encoding : 'bytes' };
  }
}

/**
 * The message of a Protobuf schema: the one at a frame's indexes (`invalid` when there is none), else the one that the
 * format names, else, also where this schema has no such message, the one that is most likely meant.
 */
export function messageFor(format: Format, schema: RegisteredSchema, indexes: readonly number[] = []): ProtobufMessage {
  const file = parseProtobufSchema(schema.text);
  if (indexes.length === 0) return file.types.get(format.message) ?? mainMessage(file);
  const message = messageAt(file, indexes);
  if (message) return message;
  throw new MillraceError(
    'invalid',
    `Protobuf schema ${schema.id} has no message with the indexes ${indexes.join(', ')}`,
    { code: 'protobuf-message', context: { schemaId: schema.id } },
  );
}

/** The full name of the message that a table is made for. Throws `invalid` when the schema has none of the format's name. */
export function messageNameOf(format: Format, schema: RegisteredSchema): string {
  const file = parseProtobufSchema(schema.text);
  return (format.message === '' ? mainMessage(file) : messageNamed(file, format.message)).fullName;
}
