/** Whole numbers below a limit, the same on every machine (mulberry32). */
export type Random = (below: number) => number;

export function createRandom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) * below) / 4_294_967_296);
  };
}

export const oneOf = <T>(random: Random, choices: readonly T[]): T => choices[random(choices.length)]!;
