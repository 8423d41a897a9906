/**
 * Decompresses one LZ4 block of known size (lz4_Block_format.md), which is Parquet's LZ4_RAW:
 *
 *     block    := sequence*
 *     sequence := token extra* literals (offset:u16 extra*)?      the last one ends after its literals
 *     token    := literal length << 4 | match length - 4          15 = goes on in extra bytes, until one is not 255
 */
export function decompressLz4Block(source: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  let from = 0;
  let at = 0;
  const extra = (length: number): number => {
    if (length < 15) return length;
    for (;;) {
      if (from >= source.length) throw new Error('LZ4 block is cut short');
      const more = source[from++]!;
      length += more;
      if (more !== 255) return length;
    }
  };
  while (from < source.length) {
    const token = source[from++]!;
    const literals = extra(token >> 4);
    if (literals > source.length - from || literals > size - at) throw new Error('LZ4 literals run over');
    out.set(source.subarray(from, from + literals), at);
    from += literals;
    at += literals;
    if (from === source.length) break;
    if (from + 2 > source.length) throw new Error('LZ4 block is cut short');
    const offset = source[from]! | (source[from + 1]! << 8);
    from += 2;
    const length = extra(token & 15) + 4;
    if (offset === 0 || offset > at || length > size - at) throw new Error('LZ4 match runs over');
    for (let end = at + length; at < end; at++) out[at] = out[at - offset]!;
  }
  return out.subarray(0, at);
}
