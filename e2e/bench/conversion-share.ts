import type { Profiler } from 'node:inspector';

/** Whose calls are the conversion itself: reading the log, records, columns, Parquet, writing the file. */
const CONVERSION =
  /\/(libs\/(kafka-log|columns|parquet|object-store)|parquet-converter\/src\/(split-conversion|split-source|data-files))\b/;

/**
 * How much of a converter's busy time its profile sees in or below the conversion's own code, 0 to 1. The rest is leases,
 * gRPC, tracing, logs and the event loop; garbage collection counts in proportion.
 */
export function conversionShare(profile: Profiler.Profile): number {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const conversion = new Set<number>();
  const notCounted = new Set<number>();
  const walk = (node: Profiler.ProfileNode, within: boolean): void => {
    const { functionName, url } = node.callFrame;
    const inside = within || CONVERSION.test(url);
    if (functionName === '(idle)' || functionName === '(garbage collector)') notCounted.add(node.id);
    else if (inside) conversion.add(node.id);
    for (const id of node.children ?? []) walk(byId.get(id)!, inside);
  };
  walk(profile.nodes[0]!, false);
  let [converting, busy] = [0, 0];
  for (const [i, node] of (profile.samples ?? []).entries()) {
    if (notCounted.has(node)) continue;
    const micros = profile.timeDeltas![i]!;
    busy += micros;
    if (conversion.has(node)) converting += micros;
  }
  if (busy === 0) throw new Error('the profile has no sample of work');
  return converting / busy;
}
