import { broken } from './avro-runtime.ts';
import type { Column } from './column.ts';
import { colon, skipString, skipValue, space } from './json-scan.ts';
import type { JsonBranchStep } from './json-step.ts';

/** The names of an object's properties, to be found by their bytes. */
export interface JsonKeys {
  names: readonly Uint8Array[];
  /** 1 + index in `names`, by hash; 0 is empty. */
  slots: Int32Array;
  byName: ReadonlyMap<string, number>;
}

export function createJsonKeys(names: readonly string[]): JsonKeys {
  let size = 8;
  while (size < names.length * 4) size *= 2;
  const slots = new Int32Array(size);
  const bytes = names.map((name) => new Uint8Array(Buffer.from(name)));
  for (const [index, name] of bytes.entries()) {
    let hash = 0;
    for (const byte of name) hash = (Math.imul(hash, 31) + byte) | 0;
    let at = spread(hash) & (size - 1);
    while (slots[at] !== 0) at = (at + 1) & (size - 1);
    slots[at] = index + 1;
  }
  return { names: bytes, slots, byName: new Map(names.map((name, index) => [name, index])) };
}

const spread = (hash: number): number => hash ^ (hash >>> 15);

/** Where the last name that findKey read ended: after its colon. */
export const place = new Int32Array(1);

/** The index of the name whose first quote is at p, or -1. */
export function findKey(keys: JsonKeys, s: Uint8Array, p: number, e: number): number {
  const start = p + 1;
  let q = start;
  let hash = 0;
  for (; ; q++) {
    const b = s[q]!;
    if (b === 34) break;
    if (q >= e || b < 32 || b > 127 || b === 92) return findOddKey(keys, s, start, e);
    hash = (Math.imul(hash, 31) + b) | 0;
  }
  place[0] = s[q + 1] === 58 ? q + 2 : colon(s, q + 1, e);
  return lookUp(keys, s, start, q, hash);
}

function lookUp({ names, slots }: JsonKeys, s: Uint8Array, start: number, end: number, hash: number): number {
  const mask = slots.length - 1;
  for (let at = spread(hash) & mask; ; at = (at + 1) & mask) {
    const index = slots[at]! - 1;
    if (index < 0) return -1;
    const name = names[index]!;
    if (name.length === end - start && equal(s, start, name)) return index;
  }
}

function equal(s: Uint8Array, start: number, bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (s[start + i] !== bytes[i]) return false;
  return true;
}

// A name with escapes, or beyond ASCII.
function findOddKey(keys: JsonKeys, s: Uint8Array, start: number, e: number): number {
  const after = skipString(s, new DataView(s.buffer, s.byteOffset, s.byteLength), start, e);
  place[0] = colon(s, after, e);
  const name = JSON.parse(Buffer.from(s.buffer, s.byteOffset + start - 1, after - start + 1).toString()) as string;
  return keys.byName.get(name) ?? -1;
}

/** How a union's object is told: for each property that tells, the branches (bits) that it, or its value, stands for. */
export interface JsonMarks {
  keys: JsonKeys;
  marks: { present: number; values: { bytes: Uint8Array; bit: number }[] }[];
}

export function createJsonMarks(branches: readonly JsonBranchStep[]): JsonMarks {
  const names = [...new Set(branches.map((branch) => branch.property))];
  const marks = names.map((name) => {
    const own = branches
      .map((branch, at) => ({ branch, bit: 1 << at }))
      .filter(({ branch }) => branch.property === name);
    const values = own.flatMap(({ branch, bit }) =>
      (branch.values ?? []).map((value) => ({ bytes: new Uint8Array(Buffer.from(JSON.stringify(value))), bit })),
    );
    let present = 0;
    for (const { branch, bit } of own) if (branch.values === undefined) present |= bit;
    return { present, values };
  });
  return { keys: createJsonKeys(names), marks };
}

/** The branches (bits) of the object whose brace is at p; what only the interpreter can tell is broken. */
export function findBranches(
  { keys, marks }: JsonMarks,
  s: Uint8Array,
  view: DataView,
  p: number,
  e: number,
  depth: number,
): number {
  let found = 0;
  p = space(s, p + 1, e);
  if (s[p] === 125) broken();
  for (;;) {
    if (p >= e || s[p] !== 34) broken();
    const index = findKey(keys, s, p, e);
    p = place[0]!;
    if (s[p]! <= 32) p = space(s, p, e);
    const end = skipValue(s, view, p, e, depth + 1);
    if (index >= 0) {
      const { present, values } = marks[index]!;
      found |= present;
      // Of properties with one name the last counts.
      for (const { bit } of values) found &= ~bit;
      for (const { bytes, bit } of values) if (bytes.length === end - p && equal(s, p, bytes)) found |= bit;
    }
    p = space(s, end, e);
    if (s[p] === 125) break;
    if (s[p] !== 44) broken();
    p = space(s, p + 1, e);
  }
  if (found === 0) broken();
  return found;
}

/** That rows [from, from + count) of a map's keys are all different; of equal ones the interpreter takes the last. */
export function checkKeys(keys: Column, s: Uint8Array, from: number, count: number): void {
  const { starts, lengths, scratch } = keys;
  if (count > 16) {
    const seen = new Set<string>();
    for (let i = from; i < from + count; i++) {
      const start = starts[i]!;
      const bytes = start < 0 ? scratch : s;
      const at = bytes.byteOffset + (start < 0 ? ~start : start);
      seen.add(Buffer.from(bytes.buffer, at, lengths[i]!).toString('latin1'));
    }
    if (seen.size !== count) broken();
    return;
  }
  for (let i = from + 1; i < from + count; i++)
    for (let k = from; k < i; k++) {
      const length = lengths[i]!;
      if (length !== lengths[k]) continue;
      const [a, b] = [starts[i]!, starts[k]!];
      const [left, right] = [a < 0 ? scratch : s, b < 0 ? scratch : s];
      let at = 0;
      while (at < length && left[(a < 0 ? ~a : a) + at] === right[(b < 0 ? ~b : b) + at]) at++;
      if (at === length) broken();
    }
}
