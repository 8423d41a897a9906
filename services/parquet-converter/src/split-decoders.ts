import { MillraceError } from '@millrace/base';
import {
  compileAvroDecoder,
  compileJsonDecoder,
  compileProtobufDecoder,
  createJsonTextDecoder,
  createPlainDecoder,
  type Decoder,
  type RunDecoders,
} from '@millrace/columns';
import type { RecordIndex } from '@millrace/kafka-log';
import type { RecordFormat, ResolveSchemaResponse, Split, SplitService } from '@millrace/proto/metadata_discovery';
import type { Client } from '@millrace/rpc';
import {
  fromIcebergSchemaJson,
  messageNamed,
  nanosRule,
  notFramed,
  notMessageFramed,
  parseAvroSchema,
  parseJsonSchema,
  parseProtobufSchema,
  type TableSchema,
} from '@millrace/schema';
import type { DecoderCache } from './decoder-cache.ts';
import { type Frame, frameBytes, hasSchema, NULL_RECORD, type Run, UNFRAMED } from './record-schemas.ts';

export type Role = 'value' | 'key';

interface ResolvedRun {
  decoders: RunDecoders;
  /** Roles of which the run's schema is not to be had, with why: their records are broken, but for nulls. */
  failed: { role: Role; error: MillraceError }[];
}

export interface SplitDecoders {
  /** The newest table schema that has been heard of. */
  readonly table: TableSchema;
  /** Decoders for a run that starts at record `from`; `table` may be newer afterwards. Errors worth another try are thrown. */
  resolve(run: Run, index: RecordIndex, from: number): Promise<ResolvedRun>;
}

/** What a role's records of a run were written with. `key`: stands for it among decoders. */
interface WriterSchema {
  key: string;
  compile(table: TableSchema): Decoder;
}

export interface DecoderDeps {
  splits: Pick<Client<typeof SplitService>, 'resolveSchema'>;
  decoders: DecoderCache;
}

export function createSplitDecoders(split: Split, deps: DecoderDeps): SplitDecoders {
  let table = fromIcebergSchemaJson(split.tableSchemaJson);
  let tableJson = split.tableSchemaJson;
  const formats = { value: split.valueFormat, key: split.keyFormat };
  // Also failures: a schema that is unknown is asked for once a split.
  const writers = new Map<string, WriterSchema | MillraceError>();

  async function writerSchema(role: Role, schemaId: number, frame?: Frame): Promise<WriterSchema | MillraceError> {
    const name = [role, schemaId, ...(frame?.indexes ?? [])].join(' ');
    const known = writers.get(name);
    if (known !== undefined) return known;
    const found = await ask(role, schemaId, frame).catch(asFailure);
    writers.set(name, found);
    return found;
  }

  async function ask(role: Role, schemaId: number, frame?: Frame): Promise<WriterSchema> {
    const answer = await deps.splits.resolveSchema({
      table: split.table!,
      topic: split.topic,
      key: role === 'key',
      schemaId,
      messageIndexes: frame?.indexes ?? [],
    });
    const writer = writerOfAnswer(role, answer, formats[role]!);
    if (answer.tableSchemaJson !== '' && answer.tableSchemaJson !== tableJson) {
      const newer = fromIcebergSchemaJson(answer.tableSchemaJson);
      if (newer.schemaId > table.schemaId) {
        table = newer;
        tableJson = answer.tableSchemaJson;
      }
    }
    return writer;
  }

  /** undefined: the role's bytes have no schema. */
  async function writerOf(role: Role, schemaId: number, frame: Frame | undefined, index: RecordIndex, i: number) {
    if (schemaId === UNFRAMED) return unframed(role, formats[role]!, index, i);
    return schemaId === NULL_RECORD || !hasSchema(formats[role]) ? undefined : writerSchema(role, schemaId, frame);
  }

  function compile(role: Role, writer: WriterSchema | undefined): Decoder {
    if (writer !== undefined) return deps.decoders.get(`${tableJson}\n${writer.key}`, () => writer.compile(table));
    const format = formats[role];
    if (format?.encoding === 'json' && !hasSchema(format))
      return deps.decoders.get(`${tableJson}\n${role} json`, () => createJsonTextDecoder(table, role));
    const isPlain = format?.encoding === 'bytes' || format?.encoding === 'string';
    return createPlainDecoder(isPlain ? (format.encoding as 'bytes' | 'string') : 'none', table, role);
  }

  function decoderOf(
    role: Role,
    writer: WriterSchema | MillraceError | undefined,
    failed: ResolvedRun['failed'],
  ): Decoder {
    try {
      if (writer instanceof MillraceError) throw writer;
      return compile(role, writer);
    } catch (thrown) {
      failed.push({ role, error: asFailure(thrown) });
      return createPlainDecoder('none', table, role);
    }
  }

  return {
    get table() {
      return table;
    },
    async resolve(run, index, from) {
      // Both are asked for before either is compiled: either answer may bring a newer table schema.
      const valueWriter = await writerOf('value', run.valueSchema, run.valueFrame, index, from);
      const keyWriter = await writerOf('key', run.keySchema, run.keyFrame, index, from);
      const failed: ResolvedRun['failed'] = [];
      return {
        failed,
        decoders: {
          value: decoderOf('value', valueWriter, failed),
          valueSkip: run.valueFrame?.bytes ?? frameBytes(formats.value),
          key: decoderOf('key', keyWriter, failed),
          keySkip: run.keyFrame?.bytes ?? frameBytes(formats.key),
          kafka: { partition: split.partition, schemaId: valueWriter === undefined ? undefined : run.valueSchema },
        },
      };
    },
  };
}

function writerOfAnswer(role: Role, answer: ResolveSchemaResponse, format: RecordFormat): WriterSchema {
  const { schemaType, schemaText, message } = answer;
  const key = [role, schemaType, message, format.nanos, schemaText].join('\n');
  switch (schemaType) {
    case 'avro': {
      const avro = parseAvroSchema(schemaText);
      return { key, compile: (table) => compileAvroDecoder(avro, table, role) };
    }
    case 'json': {
      const json = parseJsonSchema(schemaText);
      return { key, compile: (table) => compileJsonDecoder(json, table, role) };
    }
    case 'protobuf': {
      const file = parseProtobufSchema(schemaText);
      const writer = { message: messageNamed(file, message), types: file.types, nanos: nanosRule(format.nanos) };
      return { key, compile: (table) => compileProtobufDecoder(writer, table, role) };
    }
    default:
      throw new MillraceError('unsupported', `a schema is of type ${schemaType}: avro, protobuf and json are decoded`, {
        code: 'schema-type-unsupported',
      });
  }
}

function unframed(role: Role, { encoding }: RecordFormat, index: RecordIndex, i: number): MillraceError {
  const [starts, lengths] =
    role === 'value' ? [index.valueStarts, index.valueLengths] : [index.keyStarts, index.keyLengths];
  const why = encoding === 'protobuf' ? notMessageFramed : notFramed;
  return why(index.bytes, starts[i]!, lengths[i]!, role);
}

/** An error that another try would not help: it is about the records, and the error policy decides. Others are thrown. */
function asFailure(thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError && !thrown.retryable && ABOUT_RECORDS.has(thrown.kind)) return thrown;
  throw thrown;
}

const ABOUT_RECORDS = new Set(['not-found', 'corrupt', 'unsupported', 'invalid']);
