import { type DescField, type DescMessage, fromBinary, type Message, ScalarType } from '@bufbuild/protobuf';
import { checkNamePart, MillraceError } from '@millrace/base';
import { LIST_COUNTS, MAP_COUNT, MAX_COUNT, MAX_TEXT, TEXT_LENGTHS } from './limits.ts';

/** A request that is not of its type; the handler's wrapper makes an answer of it, since grpc-js would say INTERNAL. */
export class MalformedRequest {
  readonly error: MillraceError;
  constructor(error: MillraceError) {
    this.error = error;
  }
}

/** Decodes and checks a request; what is wrong with it becomes a MalformedRequest. */
export function readRequest(input: DescMessage, bytes: Uint8Array): Message | MalformedRequest {
  try {
    const message = fromBinary(input, bytes);
    checkerOf(input)(message as unknown as Values, '');
    return message;
  } catch (error) {
    if (error instanceof MillraceError) return new MalformedRequest(error);
    const reason = `the request is not a ${input.typeName}: ${(error as Error).message}`;
    return new MalformedRequest(new MillraceError('invalid', reason, { code: 'request-malformed' }));
  }
}

type Values = Record<string, unknown>;
type Check = (value: unknown, path: string) => void;

/** As many as there are message types. */
const checkers = new Map<DescMessage, Check>();

/** What holds for every request, whatever its handler does with it: lengths, counts, ranges, names. */
function checkerOf(message: DescMessage): Check {
  const known = checkers.get(message);
  if (known !== undefined) return known;
  // Messages may contain themselves: the entry comes before what it is made of.
  let fields: { name: string; at: (values: Values) => unknown; check: Check }[] = [];
  const check: Check = (values, path) => {
    for (const { name, at, check } of fields) {
      const value = at(values as Values);
      if (value !== undefined) check(value, path === '' ? name : `${path}.${name}`);
    }
  };
  checkers.set(message, check);
  fields = message.fields.map((field) => {
    const { localName, oneof } = field;
    const at = (values: Values): unknown => {
      if (oneof === undefined) return values[localName];
      const chosen = values[oneof.localName] as { case: string | undefined; value: unknown };
      return chosen.case === localName ? chosen.value : undefined;
    };
    return { name: field.name, at, check: fieldCheck(field) };
  });
  return check;
}

function fieldCheck(field: DescField): Check {
  const bound = LIST_COUNTS[field.name] ?? MAX_COUNT;
  if (field.fieldKind === 'list') {
    const check = valueCheck(field, field);
    return (value, path) => {
      const list = value as unknown[];
      if (list.length > bound) throw refused(path, `has ${list.length} entries`, `at most ${bound}`);
      for (const entry of list) check(entry, path);
    };
  }
  if (field.fieldKind === 'map') {
    const check = valueCheck(field, field);
    return (value, path) => {
      const entries = Object.entries(value as Values);
      if (entries.length > MAP_COUNT) throw refused(path, `has ${entries.length} entries`, `at most ${MAP_COUNT}`);
      for (const [key, entry] of entries) {
        checkText(key, path, MAX_TEXT);
        check(entry, path);
      }
    };
  }
  return valueCheck(field, field);
}

function valueCheck(
  field: DescField,
  {
    message,
    enum: names,
    scalar,
  }: { message?: DescMessage | undefined; enum?: DescField['enum']; scalar?: ScalarType | undefined },
): Check {
  if (message !== undefined) return checkerOf(message);
  if (names !== undefined) {
    const legal = new Set(names.values.map(({ number }) => number));
    return (value, path) => {
      if (!legal.has(value as number)) throw refused(path, `is ${value}`, names.values.map((v) => v.name).join(', '));
    };
  }
  switch (scalar) {
    case ScalarType.STRING:
      return textCheck(field);
    case ScalarType.INT32:
    case ScalarType.INT64: {
      const largest = field.name.endsWith('_ms') ? LAST_DATE_MS : undefined;
      return (value, path) => {
        if ((value as number) < 0) throw refused(path, `is ${value}`, '0 or more');
        if (largest !== undefined && (value as number) > largest)
          throw refused(path, `is ${value}`, `at most ${largest}`);
      };
    }
    default:
      return () => {};
  }
}

/** ECMA-262, 21.4.1.1: the last millisecond that a date can have. */
const LAST_DATE_MS = 8_640_000_000_000_000;

function textCheck(field: DescField): Check {
  const bound = TEXT_LENGTHS[field.name] ?? MAX_TEXT;
  const isName = field.parent.name === 'TableRef' || field.name === 'topic';
  const isPath = ['path', 'paths', 'removed_paths', 'object_key', 'transaction_index_keys'].includes(field.name);
  return (value, path) => {
    const text = value as string;
    checkText(text, path, bound);
    if (isName && text !== '') checkNamePart(text, path);
    if (isPath && text.split('/').some((part) => part === '..' || part === '.'))
      throw refused(path, `is ${JSON.stringify(text.slice(0, 100))}`, 'a path without "." and ".."');
  };
}

function checkText(text: string, path: string, bound: number): void {
  if (text.length > bound) throw refused(path, `has ${text.length} characters`, `at most ${bound}`);
  // PostgreSQL's texts can't hold it, and no name or path has it.
  if (text.includes('\0')) throw refused(path, 'holds a NUL character', 'text without it');
}

const refused = (field: string, is: string, legal: string): MillraceError =>
  new MillraceError('invalid', `${field} ${is}; legal: ${legal}`, { code: 'request-invalid', context: { field } });
