import type { Decoder } from '@millrace/columns';

/** The most recently used decoders; compiling one costs about a millisecond, a topic has few. */
export interface DecoderCache {
  get(key: string, compile: () => Decoder): Decoder;
}

export function createDecoderCache(capacity = 256): DecoderCache {
  const decoders = new Map<string, Decoder>();
  return {
    get(key, compile) {
      const decoder = decoders.get(key) ?? compile();
      // A Map keeps the order of insertion: the first is the one not used for longest.
      decoders.delete(key);
      decoders.set(key, decoder);
      if (decoders.size > capacity) decoders.delete(decoders.keys().next().value!);
      return decoder;
    },
  };
}
