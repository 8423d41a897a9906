import type { MessageInitShape } from '@bufbuild/protobuf';
import { checkNamePart, formatTableName, MillraceError, parseTableName, type TableName } from '@millrace/base';
import type { TableRef } from '@millrace/proto/common';
import {
  JobKind,
  type JobSchema,
  JobState,
  MaintenanceSchedulerService,
  type PolicySchema,
} from '@millrace/proto/maintenance_scheduler';
import { errorToDetail, implement } from '@millrace/rpc';
import type { JobHistory, JobRecord } from '@millrace/tasks';
import type { JobName } from './maintenance.ts';
import { POLICY_FIELDS, type PolicyValues, policyValues, protoName } from './policy.ts';
import type { PolicyStore } from './policy-store.ts';
import type { Scheduler } from './scheduler.ts';

const KINDS: Record<JobName, JobKind> = {
  compact: JobKind.COMPACT,
  expire: JobKind.EXPIRE,
  sweep: JobKind.SWEEP,
};

const STATES = {
  running: JobState.RUNNING,
  succeeded: JobState.SUCCEEDED,
  failed: JobState.FAILED,
} as const;

const MAX_PAGE = 1_000;

/** The proto's calls as requests to the scheduler and questions to its stores. */
export const maintenanceService = (scheduler: Scheduler, policies: PolicyStore, history: JobHistory) =>
  implement(MaintenanceSchedulerService, {
    async setPolicy({ policy }) {
      await policies.set(scopeOf(policy?.table), policyValues(policy));
      return {};
    },
    async getPolicy({ table }) {
      const scope = scopeOf(table);
      const { values, sources } = await policies.resolve(scope);
      return {
        policy: { table: scope, ...toPolicy(values) },
        sources: Object.fromEntries(POLICY_FIELDS.map((field) => [protoName(field), sources[field]])),
      };
    },
    async runJob({ table, kind, dryRun, overrides }) {
      const name = tableOf(table);
      const job = (Object.keys(KINDS) as JobName[]).find((one) => KINDS[one] === kind);
      if (job === undefined) {
        throw new MillraceError('invalid', 'the request names no kind of job; legal: compact, expire, sweep', {
          code: 'job-kind',
        });
      }
      return { job: toJob(await scheduler.run(name, { kind: job, dryRun, overrides: policyValues(overrides) })) };
    },
    async listJobs({ table, pageSize, pageToken }) {
      const subject = table === undefined || table.name === '' ? '' : formatTableName(tableOf(table));
      const size = pageSize <= 0 ? 50 : Math.min(pageSize, MAX_PAGE);
      const page = await history.list(subject, size, pageToken);
      return { jobs: page.jobs.map(toJob), nextPageToken: page.nextPageToken };
    },
  });

function tableOf(table: TableRef | undefined): TableName {
  return {
    namespace: checkNamePart(table?.namespace ?? '', 'namespace'),
    name: checkNamePart(table?.name ?? '', 'table'),
  };
}

function scopeOf(table: TableRef | undefined): TableName {
  const { namespace, name } = { namespace: table?.namespace ?? '', name: table?.name ?? '' };
  if (namespace !== '') checkNamePart(namespace, 'namespace');
  if (name !== '') return tableOf({ namespace, name } as TableRef);
  return { namespace, name };
}

const toPolicy = (values: PolicyValues): Omit<MessageInitShape<typeof PolicySchema>, '$typeName' | 'table'> => ({
  compactIntervalMs: BigInt(values.compactIntervalMs),
  compactSmallFileBytes: BigInt(values.compactSmallFileBytes),
  compactTargetFileBytes: BigInt(values.compactTargetFileBytes),
  compactMinFiles: values.compactMinFiles,
  expireIntervalMs: BigInt(values.expireIntervalMs),
  snapshotRetentionMs: BigInt(values.snapshotRetentionMs),
  snapshotKeepCount: values.snapshotKeepCount,
  sweepIntervalMs: BigInt(values.sweepIntervalMs),
  sweepGraceMs: BigInt(values.sweepGraceMs),
});

const toJob = (record: JobRecord): MessageInitShape<typeof JobSchema> => ({
  jobId: record.jobId,
  table: parseTableName(record.subject),
  kind: KINDS[record.kind as JobName],
  state: STATES[record.state],
  dryRun: record.dryRun,
  startedMs: BigInt(record.startedMs),
  endedMs: BigInt(record.endedMs),
  counts: Object.fromEntries(Object.entries(record.counts).map(([name, value]) => [name, BigInt(value)])),
  summary: record.summary,
  ...(record.error === undefined ? {} : { error: errorToDetail(record.error) }),
});
