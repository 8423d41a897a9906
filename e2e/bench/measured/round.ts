/** What one round of a measurement came to. */
export interface Round {
  cpuSeconds: number;
  records: number;
  /** What was read: keys and values, or files. */
  bytes: number;
  /** Size of what was written. */
  bytesOut?: number;
  /** CPU seconds of parts of it. */
  parts?: Record<string, number>;
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Gives the CPU time since the last call to one of several parts. */
export function createLaps<P extends string>(parts: readonly P[]) {
  const spent = Object.fromEntries(parts.map((part) => [part, 0])) as Record<P, number>;
  let mark = cpuSeconds();
  return {
    spent,
    lap(part?: P): void {
      const now = cpuSeconds();
      if (part !== undefined) spent[part] += now - mark;
      mark = now;
    },
  };
}
