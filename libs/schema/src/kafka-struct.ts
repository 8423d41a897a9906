import { MillraceError } from '@millrace/base';
import type { ColumnType, Field } from './table-schema.ts';

/** The column that says where a row comes from. */
export const KAFKA_COLUMN = '_kafka';

const UNSET = 0;
const field = (name: string, type: ColumnType, required: boolean, doc: string): Field => ({
  id: UNSET,
  name,
  type,
  required,
  doc,
});

const PARTS: Field[] = [
  field('partition', { kind: 'int' }, true, 'Partition of the topic'),
  field('offset', { kind: 'long' }, true, 'Offset in the partition'),
  field('timestamp', { kind: 'timestamp', adjusted: true }, false, 'Timestamp of the record'),
  field('timestamp_type', { kind: 'string' }, false, 'CreateTime or LogAppendTime'),
  field('leader_epoch', { kind: 'int' }, false, 'Epoch of the leader that appended the batch'),
  field(
    'headers',
    {
      kind: 'list',
      elementId: UNSET,
      elementRequired: true,
      element: {
        kind: 'struct',
        fields: [
          field('key', { kind: 'string' }, false, 'Name of the header'),
          field('value', { kind: 'binary' }, false, 'Bytes of the header'),
        ],
      },
    },
    false,
    'Headers in their order; names may repeat',
  ),
  field('schema_id', { kind: 'int' }, false, 'Id of the schema that the value was written with'),
  field('op', { kind: 'string' }, false, 'append, or delete for a record without a value'),
];

export const KAFKA_PARTS: readonly string[] = PARTS.map((part) => part.name);

/**
 * The `_kafka` column with the parts that were asked for (all when none are named). partition and offset are always
 * there: they prove that the table is the log. Throws `invalid` for an unknown part.
 */
export function kafkaColumn(parts: readonly string[] = []): Field {
  for (const part of parts)
    if (!KAFKA_PARTS.includes(part))
      throw new MillraceError(
        'invalid',
        `${KAFKA_COLUMN} has no part "${part}": choose from ${KAFKA_PARTS.join(', ')}`,
        {
          code: 'unknown-kafka-column',
        },
      );
  const wanted = (part: Field): boolean => parts.length === 0 || part.required || parts.includes(part.name);
  return {
    id: UNSET,
    name: KAFKA_COLUMN,
    type: { kind: 'struct', fields: PARTS.filter(wanted) },
    required: false,
    doc: 'Where the row stands in Kafka',
    source: 'kafka',
  };
}
