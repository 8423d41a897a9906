import { type ErrorContext, MillraceError } from '@millrace/base';

/** Where bytes stand, for messages about errors: bytes[0] is byte `startByte` of `segment`. */
export interface LogPlace {
  segment: string;
  startByte: number;
}

/** What can be wrong with a log's bytes. */
export type LogErrorCode =
  | 'batch-crc-mismatch'
  | 'batch-truncated'
  | 'batch-header-invalid'
  | 'batch-magic-unsupported'
  | 'batch-undecompressable'
  | 'record-malformed'
  | 'segment-truncated'
  | 'index-malformed';

/** An error about the byte at `position` (of the bytes that `place` is for). */
export function logError(
  code: LogErrorCode,
  what: string,
  place: LogPlace,
  position: number,
  context: ErrorContext = {},
  cause?: unknown,
): MillraceError {
  const byte = place.startByte + position;
  const offset = context['offset'] === undefined ? '' : ` (offset ${context['offset']})`;
  return new MillraceError(
    code === 'batch-magic-unsupported' ? 'unsupported' : 'corrupt',
    `${what}, at byte ${byte} of ${place.segment}${offset}`,
    { code, context: { segment: place.segment, byte, ...context }, ...(cause === undefined ? {} : { cause }) },
  );
}
