/** The value below which a share of the numbers lies (nearest rank). */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? 0;
}

/**
 * Jain's fairness index of what each got: 1 when all got the same, 1/n when one got everything.
 */
export function jainIndex(got: readonly number[]): number {
  const sum = got.reduce((total, x) => total + x, 0);
  const squares = got.reduce((total, x) => total + x * x, 0);
  return squares === 0 ? 1 : (sum * sum) / (got.length * squares);
}

export interface Spread {
  count: number;
  median: number;
  p90: number;
  p99: number;
  max: number;
}

export const spreadOf = (numbers: readonly number[]): Spread => ({
  count: numbers.length,
  median: percentile(numbers, 0.5),
  p90: percentile(numbers, 0.9),
  p99: percentile(numbers, 0.99),
  max: percentile(numbers, 1),
});
