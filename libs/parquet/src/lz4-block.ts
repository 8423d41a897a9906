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
    // Few bytes one by one: the engine's own copy costs more than they do.
    if (literals > 32) out.set(source.subarray(from, from + literals), at);
    else for (let i = 0; i < literals; i++) out[at + i] = source[from + i]!;
    from += literals;
    at += literals;
    if (from === source.length) break;
    if (from + 2 > source.length) throw new Error('LZ4 block is cut short');
    const offset = source[from]! | (source[from + 1]! << 8);
    from += 2;
    const length = extra(token & 15) + 4;
    if (offset === 0 || offset > at || length > size - at) throw new Error('LZ4 match runs over');
    if (length > 32 && offset >= length) {
      out.copyWithin(at, at - offset, at - offset + length);
      at += length;
    } else for (const end = at + length; at < end; at++) out[at] = out[at - offset]!;
  }
  return out.subarray(0, at);
}

/**
 * Parquet's deprecated LZ4 codec. Hadoop framed the blocks; the first versions of others did not:
 *
 *     page      := frame* | block
 *     frame     := size:u32be compressed-size:u32be block        size: of the block, decompressed
 */
export function decompressHadoopLz4(source: Uint8Array, size: number): Uint8Array {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const frames: { from: number; to: number; size: number }[] = [];
  let total = 0;
  for (let at = 0; at < source.length; ) {
    if (at + 8 > source.length) return decompressLz4Block(source, size);
    const frameSize = view.getUint32(at);
    const compressed = view.getUint32(at + 4);
    total += frameSize;
    at += 8;
    if (compressed > source.length - at || total > size) return decompressLz4Block(source, size);
    frames.push({ from: at, to: at + compressed, size: frameSize });
    at += compressed;
  }
  if (total !== size) return decompressLz4Block(source, size);
  return Buffer.concat(frames.map(({ from, to, size }) => decompressLz4Block(source.subarray(from, to), size)));
}
