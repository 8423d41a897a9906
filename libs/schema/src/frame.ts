import { MillraceError } from '@millrace/base';

/**
 * Confluent's frame before a serialised key or value: magic byte 0, then the schema's id as a big-endian int32.
 *
 *   frame := 0x00  id: int32 BE  payload
 */
export const FRAME_BYTES = 5;

/** The schema id of the framed bytes [start, start + length) of `source`; -1 when they are no frame. Allocates nothing. */
export function frameSchemaId(source: Uint8Array, start: number, length: number): number {
  if (length < FRAME_BYTES || source[start] !== 0) return -1;
  const id = (source[start + 1]! << 24) | (source[start + 2]! << 16) | (source[start + 3]! << 8) | source[start + 4]!;
  return id < 0 ? -1 : id;
}

/** The error for bytes that frameSchemaId answered -1 for. */
export function notFramed(source: Uint8Array, start: number, length: number, role: 'key' | 'value'): MillraceError {
  const found =
    length < FRAME_BYTES
      ? `${length} bytes`
      : source[start] === 0
        ? 'a negative schema id'
        : `first byte 0x${source[start]!.toString(16).padStart(2, '0')}`;
  return new MillraceError(
    'corrupt',
    `The ${role} has no schema id before it (${found}): it was not written with a schema registry's serializer`,
    { code: 'record-undecodable', context: { role } },
  );
}
