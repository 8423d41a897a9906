import type { BooleanVector, Vector } from '@millrace/columns';
import type { ByteBuffer } from './byte-buffer.ts';
import type { PageValues, ValueEncoding, ValueWriter } from './values.ts';

/** BOOLEAN, in PLAIN a bit a value, LSB first; never in a dictionary. */
export function booleanValues(): ValueWriter {
  let page = new Uint8Array(32_768);
  let packed = new Uint8Array(0);
  let count = 0;
  let encoding: ValueEncoding;
  return {
    begin(chosen) {
      encoding = chosen;
    },
    get pageCount() {
      return count;
    },
    get pageBytes() {
      return count;
    },
    get capacityBytes() {
      return page.length + packed.length;
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
      if (packed.length < (count + 7) >> 3) packed = new Uint8Array((page.length + 7) >> 3);
      const trues = pack(page, count, packed);
      const written = count;
      const used = encoding.writePlain(packed.subarray(0, (count + 7) >> 3), count, out);
      count = 0;
      const bound = (value: number) => (written === 0 ? undefined : new Uint8Array([value]));
      return {
        encoding: used,
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

function pack(values: Uint8Array, count: number, bytes: Uint8Array): number {
  let trues = 0;
  let held = 0;
  let at = 0;
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
