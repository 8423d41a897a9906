import type { ProtobufScalar } from '@millrace/schema';
import { emitAsciiCheck } from './avro-emit.ts';
import type { ColumnRef } from './avro-step.ts';
import { vectorKind } from './column.ts';
import { scalarWireType } from './protobuf-value.ts';

/** Generated code: a length at p into k; so many bytes are there before `end`. */
export const emitLength = (end: string): string =>
  `if (p >= ${end}) broken(); k = s[p++]; if (k > 127) { p = readLength(s, p - 1, ${end}); k = t[0]; } else if (k > ${end} - p) broken();`;

/** Generated code: one scalar at p into row `n` of its column. */
export function emitScalar(scalar: ProtobufScalar, column: ColumnRef, n: string, end: string): string {
  const at = column.index;
  const target = vectorKind(column.type);
  const wireType = scalarWireType(scalar);
  if (wireType === 2) {
    const isText = scalar === 'string' || column.type.kind === 'string';
    return `${emitLength(end)}
v${at}[${n}] = p; l${at}[${n}] = k;
${isText ? emitAsciiCheck(`v${at}[${n}]`) : 'p += k;'}`;
  }
  if (wireType === 1) {
    const head = `if (${end} - p < 8) broken();`;
    if (scalar === 'double') return `${head} v${at}[${n}] = view.getFloat64(p, true); p += 8;`;
    const [lo, hi] = ['view.getInt32(p, true)', 'view.getInt32(p + 4, true)'];
    if (target === 'int64') return `${head} v${at}[2 * ${n}] = ${lo}; v${at}[2 * ${n} + 1] = ${hi}; p += 8;`;
    return `${head} putUnsigned(C[${at}], ${n}, ${lo}, ${hi}); p += 8;`;
  }
  if (wireType === 5) {
    const value = scalar === 'float' ? 'view.getFloat32(p, true)' : 'view.getInt32(p, true)';
    return `if (${end} - p < 4) broken(); ${emitInt(scalar, target, at, n, value)} p += 4;`;
  }
  const first = `if (p >= ${end}) broken(); k = s[p++];`;
  if (scalar === 'bool')
    return `${first} if (k > 127) { p = readVarint(s, p - 1, ${end}, t, 0); k = t[0] | t[1]; } v${at}[${n}] = k === 0 ? 0 : 1;`;
  if (scalar === 'uint64')
    return `${first} if (k > 127) { p = readVarint(s, p - 1, ${end}, t, 0); putUnsigned(C[${at}], ${n}, t[0], t[1]); } else putUnsigned(C[${at}], ${n}, k, 0);`;
  if (scalar === 'int64')
    return `${first} if (k > 127) p = readVarint(s, p - 1, ${end}, v${at}, 2 * ${n}); else { v${at}[2 * ${n}] = k; v${at}[2 * ${n} + 1] = 0; }`;
  if (scalar === 'sint64')
    return `${first} if (k > 127) p = readZigzag(s, p - 1, ${end}, v${at}, 2 * ${n}); else { v${at}[2 * ${n}] = (k >>> 1) ^ -(k & 1); v${at}[2 * ${n} + 1] = -(k & 1); }`;
  const rest = `if (k > 127) { p = readVarint32(s, p - 1, ${end}); k = t[0]; }`;
  const value = scalar === 'sint32' ? '(k >>> 1) ^ -(k & 1)' : 'k';
  return `${first} ${rest} ${emitInt(scalar, target, at, n, value)}`;
}

// A 32-bit number into the column that the table has for it.
function emitInt(scalar: ProtobufScalar, target: string, at: number, n: string, value: string): string {
  if (target !== 'int64') return `v${at}[${n}] = ${value};`;
  const unsigned = scalar === 'uint32' || scalar === 'fixed32';
  return `k = ${value}; v${at}[2 * ${n}] = k; v${at}[2 * ${n} + 1] = ${unsigned ? '0' : 'k >> 31'};`;
}
