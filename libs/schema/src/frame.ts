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

/** Which message of a Protobuf schema a framed value is, and how long all that stands before it is. */
export interface MessageFrame {
  schemaId: number;
  /** Among the file's top-level messages, then among those declared in that one, and so on. */
  indexes: number[];
  bytes: number;
}

const MAX_INDEXES = 100;

/**
 * Confluent's frame before a Protobuf message; undefined when the bytes are none.
 *
 *   frame   := 0x00  id: int32 BE  indexes  payload
 *   indexes := 0x00 (the first message) | count: zigzag varint  index: zigzag varint…
 */
export function messageFrame(source: Uint8Array, start: number, length: number): MessageFrame | undefined {
  const schemaId = frameSchemaId(source, start, length);
  if (schemaId < 0) return undefined;
  const end = start + length;
  let at = start + FRAME_BYTES;
  const next = (): number => {
    let value = 0;
    for (let shift = 0; shift < 35 && at < end; shift += 7) {
      const byte = source[at++]!;
      value |= (byte & 127) << shift;
      if (byte < 128) return (value >>> 1) ^ -(value & 1);
    }
    return -1;
  };
  const count = next();
  if (count < 0 || count > MAX_INDEXES) return undefined;
  const indexes = count === 0 ? [0] : Array.from({ length: count }, next);
  return indexes.some((index) => index < 0) ? undefined : { schemaId, indexes, bytes: at - start };
}

/** The error for bytes that messageFrame found no frame in. */
export function notMessageFramed(
  source: Uint8Array,
  start: number,
  length: number,
  role: 'key' | 'value',
): MillraceError {
  const schemaId = frameSchemaId(source, start, length);
  if (schemaId < 0) return notFramed(source, start, length, role);
  return new MillraceError(
    'corrupt',
    `The ${role} has no message indexes after its schema id ${schemaId}: it was not written with a schema registry's Protobuf serializer`,
    { code: 'record-undecodable', context: { role, schemaId } },
  );
}
