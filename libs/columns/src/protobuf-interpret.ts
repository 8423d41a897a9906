import type { NanosRule, ProtobufField, ProtobufMessage } from '@millrace/schema';
import type { ColumnRef } from './avro-step.ts';
import { BadRecord, text } from './avro-value.ts';
import { type Column, reserve, setNull } from './column.ts';
import { protobufJson } from './protobuf-json.ts';
import { dateValue, decimalOfBytes, decimalOfText, timestampValue, timeValue } from './protobuf-special.ts';
import type { FieldStep, MessageStep, ProtobufPlan, ValueStep } from './protobuf-step.ts';
import { isPackable, type MessageValue, readMessage, scalarDefault, wireTypeOf, within } from './protobuf-value.ts';
import { storeDefault, storeValue } from './store.ts';

/** Follows a plan plainly: reads the whole message first, then puts it into the columns. */
export type ProtobufInterpreter = (
  columns: readonly Column[],
  bytes: Uint8Array,
  start: number,
  length: number,
  n: number,
) => void;

/**
 * The oracle of the generated decoders, what runs where code generation is forbidden, and what reads the records that they
 * leave to it: those in which fields of messages, members of a oneof or keys of a map come several times. Throws
 * BadRecord with the field's path. `n`: the row to write in the top-level columns, for which room is there.
 */
export function interpretProtobuf(plan: ProtobufPlan): ProtobufInterpreter {
  const planned = new Map<ValueStep, ProtobufMessage>();
  const message = messageOf(plan.root, planned);
  return (columns, bytes, start, length, n) => {
    const value = readMessage(message, { bytes, at: start, end: start + length });
    const store: Store = { plan, columns, planned };
    storeOne(store, plan.root, value, n);
    for (const { column, json } of plan.absent) storeDefault(columns[column.index]!, n, json);
  };
}

interface Store {
  plan: ProtobufPlan;
  columns: readonly Column[];
  /** What is read for a step: a message without the fields that have no column. */
  planned: Map<ValueStep, ProtobufMessage>;
}

function messageOf(step: ValueStep, planned: Map<ValueStep, ProtobufMessage>): ProtobufMessage {
  if (step.kind === 'skip') return { kind: 'message', fullName: '', fields: [], messages: [] };
  if (step.kind !== 'message') return (step as { message: ProtobufMessage }).message;
  const message: ProtobufMessage = {
    kind: 'message',
    fullName: '',
    messages: [],
    fields: step.fields.map(({ field, value }): ProtobufField => {
      if (value.kind === 'skip') return skipped(field);
      return field.type.kind === 'message' ? { ...field, type: messageOf(value, planned) } : field;
    }),
  };
  planned.set(step, message);
  return message;
}

// Read as bytes, so that nothing is asked of what is in them.
const skipped = (field: ProtobufField): ProtobufField =>
  wireTypeOf(field) === 2 && !isPackable(field) ? { ...field, type: { kind: 'scalar', scalar: 'bytes' } } : field;

function storeOne(store: Store, step: ValueStep, value: unknown, n: number): void {
  switch (step.kind) {
    case 'skip':
      return;
    case 'message':
      storeMessage(store, step, value as MessageValue, n);
      return;
    default:
      storeLeaf(store, step, value, n);
  }
}

function storeMessage(store: Store, step: MessageStep, value: MessageValue, n: number): void {
  const { fields } = store.planned.get(step)!;
  for (const [at, inner] of step.fields.entries()) {
    if (inner.column) within(inner.field.name, () => storeField(store, inner, value.get(fields[at]!), n));
  }
  for (const { column, json } of step.absent) storeDefault(store.columns[column.index]!, n, json);
}

function storeField(store: Store, step: FieldStep, value: unknown, n: number): void {
  const { field, value: inner } = step;
  const column = store.columns[step.column!.index]!;
  if (field.cardinality === 'list') {
    within('element', () =>
      storeItems(column, n, (value ?? []) as unknown[], (at, item) => storeOne(store, inner, item, at)),
    );
  } else if (field.cardinality === 'map') {
    const key = store.columns[step.key!.index]!;
    storeItems(column, n, [...((value ?? new Map()) as Map<unknown, unknown>)], (at, [name, item]) => {
      storeValue(key, at, name as string);
      within('value', () => storeOne(store, inner, item, at));
    });
  } else if (value !== undefined) storeOne(store, inner, value, n);
  else if (field.presence === 'required') throw new BadRecord('it is required, and is not there');
  else if (field.presence === 'explicit') setNull(column, n);
  else storeOne(store, inner, absentValue(field), n);
}

const absentValue = ({ type }: ProtobufField): unknown => {
  if (type.kind === 'message') return new Map();
  return type.kind === 'enum' ? type.values[0]!.number : scalarDefault(type.scalar);
};

function storeItems<T>(column: Column, n: number, items: readonly T[], store: (at: number, item: T) => void): void {
  const domain = column.childDomain!;
  reserve(domain, items.length);
  const start = domain.length;
  domain.length += items.length;
  for (const [i, item] of items.entries()) store(start + i, item);
  column.lengths[n] = items.length;
}

function storeLeaf(
  { plan, columns }: Store,
  step: Exclude<ValueStep, MessageStep | { kind: 'skip' }>,
  value: unknown,
  n: number,
): void {
  const column = columns[step.column.index]!;
  switch (step.kind) {
    case 'scalar':
      // bytes promoted to a string column: the column's promise of UTF-8 holds for them too.
      if (value instanceof Uint8Array && column.type.kind === 'string') text(value);
      storeValue(column, n, value as string);
      return;
    case 'enum':
      storeValue(column, n, step.type.values.find(({ number }) => number === value)?.name ?? String(value));
      return;
    case 'json':
      storeValue(column, n, protobufJson(step.message, value as MessageValue, plan.types));
      return;
    default:
      storeValue(column, n, specialValue(step, step.column, value as MessageValue, plan.nanos));
  }
}

function specialValue(
  { kind, message }: { kind: 'timestamp' | 'date' | 'time' | 'decimal'; message: ProtobufMessage },
  { type }: ColumnRef,
  value: MessageValue,
  nanos: NanosRule,
) {
  const parts = message.fields.map((field) => value.get(field) ?? absentValue(field));
  switch (kind) {
    case 'timestamp':
      return timestampValue(parts[0] as bigint, parts[1] as number, nanos);
    case 'time':
      return timeValue(parts as number[], nanos);
    case 'date':
      return dateValue(parts as number[]);
    case 'decimal': {
      const { precision, scale } = type as { precision: number; scale: number };
      return typeof parts[0] === 'string'
        ? decimalOfText(parts[0], precision, scale)
        : decimalOfBytes(parts[0] as Uint8Array, parts[2] as number, precision, scale);
    }
  }
}
