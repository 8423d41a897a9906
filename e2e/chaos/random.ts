/** Choices that repeat with their seed. */
export interface Random {
  /** 0 to below 1. */
  fraction(): number;
  /** A whole number from `low` to below `high`. */
  whole(low: number, high: number): number;
  pick<T>(from: readonly T[]): T;
}

/** Mulberry32, begun from the numbers together: the same numbers give the same choices. */
export function createRandom(...seeds: number[]): Random {
  let state = seeds.reduce((sum, seed) => Math.imul(sum ^ (seed + 0x9e3779b9), 0x85ebca6b) ^ (sum >>> 13), 0x2545f491);
  const fraction = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const whole = (low: number, high: number) => low + Math.floor(fraction() * (high - low));
  return { fraction, whole, pick: (from) => from[whole(0, from.length)]! };
}
