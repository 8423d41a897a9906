import { MillraceError } from '@millrace/base';
import { compileAvroDecoder, createPlainDecoder, type Decoder, type RunDecoders } from '@millrace/columns';
import type { RecordIndex } from '@millrace/kafka-log';
import type { Split, SplitService } from '@millrace/proto/metadata_discovery';
import type { Client } from '@millrace/rpc';
import {
  type AvroType,
  FRAME_BYTES,
  fromIcebergSchemaJson,
  notFramed,
  parseAvroSchema,
  type TableSchema,
} from '@millrace/schema';
import type { DecoderCache } from './decoder-cache.ts';
import { NULL_RECORD, type Run, UNFRAMED } from './record-schemas.ts';

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

interface WriterSchema {
  text: string;
  avro: AvroType;
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

  async function writerSchema(role: Role, schemaId: number): Promise<WriterSchema | MillraceError> {
    const known = writers.get(`${role} ${schemaId}`);
    if (known !== undefined) return known;
    const found = await ask(role, schemaId).catch(asFailure);
    writers.set(`${role} ${schemaId}`, found);
    return found;
  }

  async function ask(role: Role, schemaId: number): Promise<WriterSchema> {
    const request = { table: split.table!, topic: split.topic, key: role === 'key', schemaId };
    const answer = await deps.splits.resolveSchema(request);
    if (answer.schemaType !== 'avro') {
      throw new MillraceError(
        'unsupported',
        `schema ${schemaId} is of type ${answer.schemaType}: only avro is decoded`,
        {
          code: 'schema-type-unsupported',
          context: { schemaId },
        },
      );
    }
    const avro = parseAvroSchema(answer.schemaText);
    if (answer.tableSchemaJson !== '' && answer.tableSchemaJson !== tableJson) {
      const newer = fromIcebergSchemaJson(answer.tableSchemaJson);
      if (newer.schemaId > table.schemaId) {
        table = newer;
        tableJson = answer.tableSchemaJson;
      }
    }
    return { text: answer.schemaText, avro };
  }

  /** undefined: the role's bytes have no schema. */
  async function writerOf(role: Role, schemaId: number, index: RecordIndex, i: number) {
    if (schemaId === UNFRAMED) return unframed(role, index, i);
    return schemaId === NULL_RECORD || formats[role]?.encoding !== 'avro' ? undefined : writerSchema(role, schemaId);
  }

  function compile(role: Role, writer: WriterSchema | undefined): Decoder {
    if (writer === undefined) {
      const encoding = formats[role]?.encoding;
      return createPlainDecoder(encoding === 'bytes' || encoding === 'string' ? encoding : 'none', table, role);
    }
    const key = [role, tableJson, writer.text].join('\n');
    return deps.decoders.get(key, () => compileAvroDecoder(writer.avro, table, role));
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

  const skipOf = (role: Role): number =>
    formats[role]?.encoding === 'avro' && formats[role]?.framing === 'confluent' ? FRAME_BYTES : 0;

  return {
    get table() {
      return table;
    },
    async resolve(run, index, from) {
      // Both are asked for before either is compiled: either answer may bring a newer table schema.
      const valueWriter = await writerOf('value', run.valueSchema, index, from);
      const keyWriter = await writerOf('key', run.keySchema, index, from);
      const failed: ResolvedRun['failed'] = [];
      return {
        failed,
        decoders: {
          value: decoderOf('value', valueWriter, failed),
          valueSkip: skipOf('value'),
          key: decoderOf('key', keyWriter, failed),
          keySkip: skipOf('key'),
          kafka: { partition: split.partition, schemaId: valueWriter === undefined ? undefined : run.valueSchema },
        },
      };
    },
  };
}

function unframed(role: Role, index: RecordIndex, i: number): MillraceError {
  const [starts, lengths] =
    role === 'value' ? [index.valueStarts, index.valueLengths] : [index.keyStarts, index.keyLengths];
  return notFramed(index.bytes, starts[i]!, lengths[i]!, role);
}

/** An error that another try would not help: it is about the records, and the error policy decides. Others are thrown. */
function asFailure(thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError && !thrown.retryable && ABOUT_RECORDS.has(thrown.kind)) return thrown;
  throw thrown;
}

const ABOUT_RECORDS = new Set(['not-found', 'corrupt', 'unsupported', 'invalid']);
