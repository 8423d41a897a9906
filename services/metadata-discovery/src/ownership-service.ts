import { type Clock, MillraceError } from '@millrace/base';
import type { Database } from '@millrace/database';
import { type OwnerSchema, type OwnerStore, ownerStore } from '@millrace/ownership';
import { OwnershipService, OwnershipStanding } from '@millrace/proto/ownership';
import { implement } from '@millrace/rpc';
import { wholeNumber } from './page.ts';

const LONGEST_WAIT_MS = 30_000;

const STANDINGS = {
  member: OwnershipStanding.MEMBER,
  expired: OwnershipStanding.EXPIRED,
  superseded: OwnershipStanding.SUPERSEDED,
} as const;

/** proto ↔ owners: the work of services without a database, shared among their replicas. */
export function ownershipService<S extends OwnerSchema>(database: Database<S>, clock: Clock, draining: AbortSignal) {
  // Only these: the owners of topics stand in the same database.
  const stores: Record<string, OwnerStore> = { 'delta-table': ownerStore(database, 'delta-table', clock) };
  return implement(OwnershipService, {
    async renewOwnership({ kind, replica, incarnation, joining, leaving, subjects, forgotten, ...request }, call) {
      const store = stores[kind];
      if (store === undefined || replica === '' || incarnation === '')
        throw new MillraceError(
          'invalid',
          `RenewOwnership: kind ${JSON.stringify(kind)} of replica ${JSON.stringify(replica)}; legal kinds: ${Object.keys(stores).join(', ')}; replica and incarnation are not empty`,
          { code: 'ownership-invalid' },
        );
      const ended = AbortSignal.any([call.signal, draining]);
      const renewed = await store.renew(
        {
          ...{ replica, incarnation, joining, leaving, subjects, forgotten },
          leaseMs: wholeNumber(request.leaseMs, 'lease_ms'),
          released: request.released.map(({ subject, epoch }) => ({ subject, epoch: wholeNumber(epoch, 'epoch') })),
          notes: Object.fromEntries(request.notes.map(({ subject, text }) => [subject, text])),
        },
        Math.min(request.waitMs, LONGEST_WAIT_MS),
        ended,
      );
      return {
        standing: STANDINGS[renewed.standing],
        owned: renewed.owned.map(({ subject, epoch }) => ({ subject, epoch: BigInt(epoch) })),
        excess: renewed.excess,
        notes: Object.entries(renewed.notes).map(([subject, text]) => ({ subject, text })),
      };
    },
  });
}
