import { TableFormat } from '@millrace/proto/common';
import { JobKind, JobState, MaintenanceSchedulerService } from '@millrace/proto/maintenance_scheduler';
import { TopicService } from '@millrace/proto/metadata_discovery';
import { createClient } from '@millrace/rpc';
import { addressOf, POLICY, TABLE } from './services.ts';
import { TOPIC } from './source.ts';
import type { Process, World } from './world.ts';

/** Whoever runs the deployment: asks again until it is answered. */
export interface Operator {
  setPolicy(): void;
  setFormats(formats: { iceberg: boolean; delta: boolean }): void;
  resume(): void;
  /** Resolves when a sweep has succeeded. */
  sweep(): Promise<void>;
}

export function createOperator(w: World): Operator {
  const process: Process = { name: 'operator', skewMs: 0, alive: true, pausedUntilMs: 0 };
  const topics = createClient(TopicService, addressOf('discovery'));
  const maintenance = createClient(MaintenanceSchedulerService, addressOf('maintenance'));
  const insist = (action: () => Promise<unknown>): Promise<void> =>
    w.runIn(process, async () => {
      for (;;) {
        try {
          await action();
          return;
        } catch (error) {
          w.trace?.(`operator: ${(error as Error).message}`);
          await w.wait(500);
        }
      }
    });
  return {
    setPolicy: () => void insist(() => maintenance.setPolicy({ policy: POLICY })),
    setFormats: ({ iceberg, delta }) =>
      void insist(() =>
        topics.updateTopic({
          topic: TOPIC,
          formats: [...(iceberg ? [TableFormat.ICEBERG] : []), ...(delta ? [TableFormat.DELTA] : [])],
        }),
      ),
    resume: () => void insist(() => topics.resumeTopic({ topic: TOPIC })),
    sweep: () =>
      insist(async () => {
        const { job } = await maintenance.runJob({ table: TABLE, kind: JobKind.SWEEP }, { timeoutMs: 12_000 });
        if (job?.state !== JobState.SUCCEEDED) throw new Error(job?.summary);
      }),
  };
}
