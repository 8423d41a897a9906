import type { OwnerStore, Renewed } from '@millrace/ownership';
import { type OwnershipService, OwnershipStanding } from '@millrace/proto/ownership';
import type { Client } from '@millrace/rpc';
import { untraced } from '@millrace/telemetry';

const STANDINGS: Record<number, Renewed['standing']> = {
  [OwnershipStanding.MEMBER]: 'member',
  [OwnershipStanding.EXPIRED]: 'expired',
  [OwnershipStanding.SUPERSEDED]: 'superseded',
};
/** For the answer, on top of the wait. */
const ANSWER_MS = 10_000;

/** Owners that metadata-discovery keeps, for a service that has no database. */
export function remoteOwners(
  client: Pick<Client<typeof OwnershipService>, 'renewOwnership'>,
  kind: string,
): OwnerStore {
  return {
    async renew({ leaseMs, released, notes, ...request }, waitMs, signal) {
      const ask = (ms: number, ended?: AbortSignal) =>
        untraced(() =>
          client.renewOwnership(
            {
              ...request,
              kind,
              subjects: [...request.subjects],
              forgotten: [...request.forgotten],
              leaseMs: BigInt(leaseMs),
              released: released.map(({ subject, epoch }) => ({ subject, epoch: BigInt(epoch) })),
              notes: Object.entries(notes).map(([subject, text]) => ({ subject, text })),
              waitMs: ms,
            },
            { timeoutMs: ms + ANSWER_MS, signal: ended },
          ),
        );
      const answer = await ask(waitMs, waitMs > 0 ? signal : undefined).catch((error) => {
        // The wait was cut short, the lease is to be renewed all the same.
        if (waitMs === 0 || !signal.aborted) throw error;
        return ask(0);
      });
      return {
        standing: STANDINGS[answer.standing] ?? 'expired',
        owned: answer.owned.map(({ subject, epoch }) => ({ subject, epoch: Number(epoch) })),
        excess: answer.excess,
        notes: Object.fromEntries(answer.notes.map(({ subject, text }) => [subject, text])),
      };
    },
  };
}
