import { MillraceError } from '@millrace/base';
import { parseJson, stringifyJson } from './json.ts';

/** The actions of the Delta log (protocol, "Actions"). Sizes are bytes, times milliseconds since the epoch. */
export interface Protocol {
  minReaderVersion: number;
  minWriterVersion: number;
  /** Only with reader version 3. */
  readerFeatures?: string[];
  /** Only with writer version 7. */
  writerFeatures?: string[];
}

export interface Metadata {
  id: string;
  name?: string;
  description?: string;
  format: { provider: string; options: Record<string, string> };
  /** Spark's StructType JSON: see schema.ts. */
  schemaString: string;
  partitionColumns: string[];
  createdTime?: number;
  configuration: Record<string, string>;
}

export interface AddFile {
  /** Percent-encoded: see path.ts. */
  path: string;
  partitionValues: Record<string, string | null>;
  size: number;
  modificationTime: number;
  dataChange: boolean;
  /** JSON: see statistics.ts. */
  stats?: string;
  tags?: Record<string, string>;
}

export interface RemoveFile {
  path: string;
  deletionTimestamp?: number;
  dataChange: boolean;
  /** True: `partitionValues` and `size` are there. */
  extendedFileMetadata?: boolean;
  partitionValues?: Record<string, string | null>;
  size?: number;
  tags?: Record<string, string>;
}

export interface Txn {
  appId: string;
  version: bigint;
  lastUpdated?: number;
}

/** Free-form; these are the keys that engines show in a table's history. */
export interface CommitInfo {
  timestamp?: number;
  operation?: string;
  operationParameters?: Record<string, unknown>;
  operationMetrics?: Record<string, string>;
  engineInfo?: string;
  isBlindAppend?: boolean;
  [key: string]: unknown;
}

/** One line of a commit or one row of a checkpoint: one of the keys is set. Other actions are kept out of replay. */
export interface Action {
  protocol?: Protocol;
  metaData?: Metadata;
  add?: AddFile;
  remove?: RemoveFile;
  txn?: Txn;
  commitInfo?: CommitInfo;
}

type Shape = Record<string, { required: boolean; is: (value: unknown) => boolean }>;

const isString = (v: unknown) => typeof v === 'string';
const isBoolean = (v: unknown) => typeof v === 'boolean';
const isInteger = (v: unknown) => Number.isSafeInteger(v);
const isObject = (v: unknown) => typeof v === 'object' && v !== null && !Array.isArray(v);
const isStrings = (v: unknown) => Array.isArray(v) && v.every(isString);
const must = (is: Shape[string]['is']) => ({ required: true, is });
const may = (is: Shape[string]['is']) => ({ required: false, is });

const SHAPES: Record<keyof Action, Shape> = {
  protocol: {
    minReaderVersion: must(isInteger),
    minWriterVersion: must(isInteger),
    readerFeatures: may(isStrings),
    writerFeatures: may(isStrings),
  },
  metaData: {
    id: must(isString),
    format: must(isObject),
    schemaString: must(isString),
    partitionColumns: must(isStrings),
    configuration: must(isObject),
    createdTime: may(isInteger),
  },
  add: {
    path: must(isString),
    partitionValues: must(isObject),
    size: must(isInteger),
    modificationTime: must(isInteger),
    dataChange: must(isBoolean),
    stats: may(isString),
  },
  remove: {
    path: must(isString),
    dataChange: must(isBoolean),
    deletionTimestamp: may(isInteger),
    size: may(isInteger),
  },
  txn: { appId: must(isString), version: must((v) => typeof v === 'bigint'), lastUpdated: may(isInteger) },
  commitInfo: {},
};

/**
 * Checks one line or row. Unknown actions give an empty Action and unknown fields stay (both are legal by the protocol,
 * "Protocol Evolution"); null fields are dropped. `corrupt` when a required field is missing or of another type.
 */
export function checkAction(value: unknown): Action {
  const action: Record<string, unknown> = {};
  if (!isObject(value)) throw broken('an action', value);
  for (const [kind, shape] of Object.entries(SHAPES)) {
    const body = (value as Record<string, unknown>)[kind];
    if (body === undefined || body === null) continue;
    if (!isObject(body)) throw broken(kind, body);
    const fields = Object.fromEntries(Object.entries(body).filter(([, v]) => v !== null));
    if (kind === 'txn' && isInteger(fields.version)) fields.version = BigInt(fields.version as number);
    for (const [key, { required, is }] of Object.entries(shape)) {
      const field = fields[key];
      if (field === undefined ? required : !is(field)) throw broken(`${kind}.${key}`, field);
    }
    action[kind] = fields;
  }
  return action as Action;
}

const broken = (what: string, value: unknown) =>
  new MillraceError('corrupt', `${what} is ${stringifyJson(value)?.slice(0, 100) ?? 'missing'}`, {
    code: 'delta-action-invalid',
    context: { field: what },
  });

/** A commit file: newline-delimited JSON, one action a line. */
export function* encodeActions(actions: Iterable<Action>): Iterable<Uint8Array> {
  let lines: string[] = [];
  let chars = 0;
  for (const action of actions) {
    const line = stringifyJson(action);
    lines.push(line);
    chars += line.length + 1;
    if (chars > 1 << 20) {
      yield Buffer.from(lines.join('\n') + '\n');
      lines = [];
      chars = 0;
    }
  }
  if (lines.length > 0) yield Buffer.from(lines.join('\n') + '\n');
}

/** Line by line, so that a commit may be larger than a string. `where` names the file in errors. */
export function decodeActions(bytes: Uint8Array, where: string): Action[] {
  const actions: Action[] = [];
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let start = 0; start < buffer.length; ) {
    const newline = buffer.indexOf(0x0a, start);
    const end = newline < 0 ? buffer.length : newline;
    const line = buffer.toString('utf8', start, end);
    start = end + 1;
    if (line.trim() === '') continue;
    try {
      actions.push(checkAction(parseJson(line)));
    } catch (error) {
      throw new MillraceError('corrupt', `${where}, action ${actions.length + 1}: ${(error as Error).message}`, {
        code: 'delta-commit-corrupt',
        context: { key: where, action: actions.length + 1 },
        cause: error,
      });
    }
  }
  return actions;
}
