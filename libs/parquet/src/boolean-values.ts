import type { BooleanVector, Vector } from '@millrace/columns';
import type { ByteBuffer } from './byte-buffer.ts';
import { ENCODING } from './format.ts';
import type { PageValues, ValueWriter } from './values.ts';

/** BOOLEAN, PLAIN: a bit a value, LSB first. */
export function booleanValues(): ValueWriter {
  let page = new Uint8Array(32_768);
  let count = 0;
  return {
    get pageCount() {
      return count;
    },
    get pageBytes() {
      return count;
    },
    get capacityBytes() {
      return page.length;
    },
    dictionaryBytes: 0,
    append(vector: Vector, from: number, to: number) {
      const { values, validity, nullCount } = vector as BooleanVector;
      if (count + to - from > page.length) {
        const grown = new Uint8Array(Math.max(page.length * 2, count + to - from));
        grown.set(page.subarray(0, count));
        page = grown;
      }
      if (validity === undefined || nullCount === 0) {
        page.set(values.subarray(from, to), count);
        count += to - from;
      } else count = gather(values, validity, from, to, page, count);
    },
    writePage(out: ByteBuffer): PageValues {
      const bytes = (count + 7) >> 3;
      out.reserve(bytes);
      const trues = pack(page, count, out.bytes, out.length);
      out.length += bytes;
      const written = count;
      count = 0;
      const bound = (value: number) => (written === 0 ? undefined : new Uint8Array([value]));
      return {
        encoding: ENCODING.PLAIN,
        count: written,
        nanCount: 0,
        min: bound(trues === written ? 1 : 0),
        max: bound(trues > 0 ? 1 : 0),
      };
    },
    endChunk: () => undefined,
  };
}

function gather(
  values: Uint8Array,
  validity: Uint8Array,
  from: number,
  to: number,
  page: Uint8Array,
  at: number,
): number {
  for (let i = from; i < to; i++) {
    page[at] = values[i]!;
    at += (validity[i >> 3]! >> (i & 7)) & 1;
  }
  return at;
}

function pack(values: Uint8Array, count: number, bytes: Uint8Array, at: number): number {
  let trues = 0;
  let held = 0;
  for (let i = 0; i < count; i++) {
    const bit = values[i]! & 1;
    trues += bit;
    held |= bit << (i & 7);
    if ((i & 7) === 7) {
      bytes[at++] = held;
      held = 0;
    }
  }
  if ((count & 7) !== 0) bytes[at] = held;
  return trues;
}
