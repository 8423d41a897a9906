/** Copies a few bytes, a word at a time; many by the engine's own copy. */
export function copyBytes(
  from: Uint8Array,
  fromView: DataView,
  start: number,
  to: Uint8Array,
  toView: DataView,
  at: number,
  length: number,
): void {
  if (length > 96) to.set(from.subarray(start, start + length), at);
  else if (length >= 4) {
    const last = length - 4;
    for (let i = 0; i < last; i += 4) toView.setInt32(at + i, fromView.getInt32(start + i, true), true);
    toView.setInt32(at + last, fromView.getInt32(start + last, true), true);
  } else for (let i = 0; i < length; i++) to[at + i] = from[start + i]!;
}

export function equalBytes(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[aStart + i] !== b[bStart + i]) return false;
  return true;
}

/** Four bytes of a value from its `offset` on, zeros for those that it does not have. */
export function wordAt(source: Uint8Array, start: number, length: number, offset: number): number {
  let word = 0;
  for (let i = offset; i < length && i < offset + 4; i++) word |= source[start + i]! << (8 * (i - offset));
  return word;
}
