const UNIT_MS: Record<string, number> = {
  microsecond: 1e-3,
  millisecond: 1,
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
};

/**
 * Milliseconds of a table property such as "interval 168 hours" or "interval 1 week 2 days"; undefined if it is none.
 */
export function parseInterval(text: string | undefined): number | undefined {
  const body = text
    ?.trim()
    .toLowerCase()
    .replace(/^interval\s+/, '');
  if (body === undefined || !/^(\d+\s+[a-z]+\s*)+$/.test(body)) return undefined;
  let ms = 0;
  for (const [, count, unit] of body.matchAll(/(\d+)\s+([a-z]+)/g)) {
    const factor = UNIT_MS[unit!.replace(/s$/, '')];
    if (factor === undefined) return undefined;
    ms += Number(count) * factor;
  }
  return ms;
}

export const hoursInterval = (hours: number): string => `interval ${hours} hours`;
