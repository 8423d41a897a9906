import { type DeltaView, watchDelta } from './delta-invariants.ts';
import { type IcebergView, watchIceberg } from './iceberg-invariants.ts';
import { type LedgerView, watchLedgerRows } from './ledger-invariants.ts';
import { LOCATION, RETENTION_MS } from './services.ts';
import type { Source } from './source.ts';
import type { Objects } from './store.ts';
import { world } from './world.ts';

/** I1 to I6 of DESIGN.md section 3, held against everything durable after every step. */
export interface Invariants {
  ledger: LedgerView;
  delta: DeltaView;
  iceberg: IcebergView;
  check(): Promise<void>;
}

/** `clockErrorMs`: what the clocks of two processes may differ by; retention is exact only up to that. */
export function watchInvariants(objects: Objects, source: Source, clockErrorMs: number): Invariants {
  const ledger = watchLedgerRows(objects, source);
  const delta = watchDelta(objects, ledger);
  const iceberg = watchIceberg(objects, ledger);

  /** I4: who refers to a data file that is about to go. */
  function keeper(path: string): string | undefined {
    if (ledger.live.get(ledger.version)?.has(path)) return `ledger version ${ledger.version}`;
    if (ledger.converted.has(path)) return 'a converted split';
    const removed = ledger.removedAt.get(path);
    if (removed !== undefined && removed > world().now - RETENTION_MS + clockErrorMs) {
      return `a ledger version inside retention (it was removed ${world().now - removed} ms ago)`;
    }
    const snapshot = iceberg.reader(path);
    if (snapshot !== undefined) return `Iceberg snapshot ${snapshot}`;
    const version = delta.reader(path);
    return version === undefined ? undefined : `Delta version ${version}`;
  }

  objects.observer = {
    put: delta.put,
    delete(uri) {
      delta.delete(uri);
      if (iceberg.needs(uri)) world().violate('I4', `${uri} was deleted, and the Iceberg table needs it`);
      if (!uri.startsWith(`${LOCATION}/data/`) || ledger.dropped) return;
      const path = uri.slice(LOCATION.length + 1);
      const kept = keeper(path);
      if (kept !== undefined) world().violate('I4', `${path} was deleted, and ${kept} refers to it`);
    },
  };

  return {
    ledger,
    delta,
    iceberg,
    async check() {
      await ledger.check();
      await iceberg.check();
    },
  };
}
