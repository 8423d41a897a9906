import { withoutSecrets } from './secrets.ts';

/** What went wrong, in the terms that decide what to do next. gRPC status and HTTP bodies are made from it in libs/rpc. */
export type ErrorKind =
  | 'invalid'
  | 'not-found'
  | 'already-exists'
  | 'conflict'
  | 'stale-lease'
  | 'unavailable'
  | 'exhausted'
  | 'corrupt'
  | 'unsupported'
  | 'permission'
  | 'unauthenticated'
  | 'cancelled'
  | 'deadline'
  | 'internal';

const RETRYABLE: ReadonlySet<ErrorKind> = new Set(['unavailable', 'exhausted', 'deadline', 'conflict']);

/** Where it went wrong: topic, partition, offset, segment, byte, file, key … Never a secret. */
export type ErrorContext = Record<string, string | number | bigint | boolean | undefined>;

export interface MillraceErrorOptions {
  /** A stable code within the kind, such as "batch-crc-mismatch". Defaults to the kind. */
  code?: string;
  /** Defaults by kind: unavailable, exhausted, deadline and conflict are worth another try. */
  retryable?: boolean;
  context?: ErrorContext;
  cause?: unknown;
}

/**
 * The one error type that crosses a package's border: the message names the thing, the place and the way out. Whatever
 * the message was made of (another library's words, a URL), secrets in it are gone.
 */
export class MillraceError extends Error {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly retryable: boolean;
  readonly context: Record<string, string>;

  constructor(kind: ErrorKind, message: string, options: MillraceErrorOptions = {}) {
    super(withoutSecrets(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'MillraceError';
    this.kind = kind;
    this.code = options.code ?? kind;
    this.retryable = options.retryable ?? RETRYABLE.has(kind);
    this.context = Object.fromEntries(
      Object.entries(options.context ?? {})
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => [key, withoutSecrets(String(value))]),
    );
  }

  /** The same error with more context; what is there already wins. */
  with(context: ErrorContext): MillraceError {
    return new MillraceError(this.kind, this.message, {
      code: this.code,
      retryable: this.retryable,
      context: { ...context, ...this.context },
      cause: this.cause,
    });
  }
}

const BY_SYSTEM_CODE: Record<string, [ErrorKind, boolean]> = {
  ENOENT: ['not-found', false],
  EEXIST: ['already-exists', false],
  EACCES: ['permission', false],
  EPERM: ['permission', false],
  EROFS: ['permission', false],
  EISDIR: ['invalid', false],
  ENOTDIR: ['invalid', false],
  ENAMETOOLONG: ['invalid', false],
  // The limit of a file's size, by the file system or the process.
  EFBIG: ['exhausted', false],
  ENOSPC: ['exhausted', true],
  EDQUOT: ['exhausted', true],
  EMFILE: ['exhausted', true],
  ENFILE: ['exhausted', true],
  EIO: ['unavailable', true],
  ECONNREFUSED: ['unavailable', true],
  ECONNRESET: ['unavailable', true],
  ETIMEDOUT: ['unavailable', true],
  EPIPE: ['unavailable', true],
  ENOTFOUND: ['unavailable', true],
  EAI_AGAIN: ['unavailable', true],
};

/** Any thrown value as a MillraceError: system errors by their code, aborts as cancelled, the rest as internal. */
export function toMillraceError(thrown: unknown, context: ErrorContext = {}): MillraceError {
  if (thrown instanceof MillraceError) return Object.keys(context).length === 0 ? thrown : thrown.with(context);
  if (thrown instanceof Error) {
    if (thrown.name === 'AbortError') return new MillraceError('cancelled', thrown.message, { cause: thrown, context });
    if (thrown.name === 'TimeoutError')
      return new MillraceError('deadline', thrown.message, { cause: thrown, context });
    // Node has no name for a quota that is used up.
    const { code, errno } = thrown as NodeJS.ErrnoException;
    const systemCode = errno === -122 && process.platform === 'linux' ? 'EDQUOT' : code;
    const known = systemCode === undefined ? undefined : BY_SYSTEM_CODE[systemCode];
    if (known) {
      return new MillraceError(known[0], thrown.message, {
        code: systemCode!,
        retryable: known[1],
        cause: thrown,
        context,
      });
    }
    return new MillraceError('internal', thrown.message, { cause: thrown, context });
  }
  return new MillraceError('internal', String(thrown), { context });
}

export function isKind(thrown: unknown, ...kinds: ErrorKind[]): boolean {
  return thrown instanceof MillraceError && kinds.includes(thrown.kind);
}

/** For states that only a defect can reach. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new MillraceError('internal', message, { code: 'assertion' });
}
