import type { Step } from '@millrace/actor';
import { MillraceError } from '@millrace/base';
import type { PolicyValues } from './policy.ts';

export type JobName = 'compact' | 'expire' | 'sweep';
export const JOB_NAMES: readonly JobName[] = ['compact', 'expire', 'sweep'];

/** A job that someone asked for, or that is due. */
export interface JobRequest {
  id: number;
  kind: JobName;
  dryRun: boolean;
  overrides: Partial<PolicyValues>;
  /** By policy: not worth queueing twice. */
  automatic: boolean;
  /** Of an automatic one: how often this job had ended when it was found to be due. When it has again since, it is due no more. */
  endsSeen?: number;
}

/** One table's maintenance: whatever is asked for, one job runs at a time, in the order of asking. */
export interface MaintenanceState {
  running: JobRequest | undefined;
  queue: JobRequest[];
}

export type MaintenanceMessage = { kind: 'run'; request: JobRequest } | { kind: 'ended'; id: number };

export type MaintenanceEffect =
  | { kind: 'run'; request: JobRequest }
  | { kind: 'refuse'; id: number; error: MillraceError };

export const idleMaintenance: MaintenanceState = { running: undefined, queue: [] };

const MAX_QUEUE = 20;

export function receiveMaintenance(
  state: MaintenanceState,
  message: MaintenanceMessage,
): Step<MaintenanceState, MaintenanceEffect> {
  switch (message.kind) {
    case 'run': {
      const { request } = message;
      if (state.running === undefined) return start(request, []);
      if (request.automatic) {
        const waits = [state.running, ...state.queue].some((one) => one.kind === request.kind && !one.dryRun);
        return { state: waits ? state : { ...state, queue: [...state.queue, request] }, effects: [] };
      }
      if (state.queue.length >= MAX_QUEUE) {
        const error = new MillraceError('exhausted', `${MAX_QUEUE} jobs of this table wait already: try again later`, {
          code: 'job-queue-full',
        });
        return { state, effects: [{ kind: 'refuse', id: request.id, error }] };
      }
      return { state: { ...state, queue: [...state.queue, request] }, effects: [] };
    }
    case 'ended': {
      if (state.running?.id !== message.id) return { state, effects: [] };
      const [next, ...queue] = state.queue;
      return next === undefined ? { state: idleMaintenance, effects: [] } : start(next, queue);
    }
  }
}

const start = (request: JobRequest, queue: JobRequest[]): Step<MaintenanceState, MaintenanceEffect> => ({
  state: { running: request, queue },
  effects: [{ kind: 'run', request }],
});
