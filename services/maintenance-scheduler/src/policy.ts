import { MillraceError } from '@millrace/base';
import type { Policy } from '@millrace/proto/maintenance_scheduler';

/** Every value that a policy can set. Times in ms, sizes in bytes; an interval of 0 switches the automatic run off. */
export interface PolicyValues {
  compactIntervalMs: number;
  compactSmallFileBytes: number;
  compactTargetFileBytes: number;
  compactMinFiles: number;
  expireIntervalMs: number;
  snapshotRetentionMs: number;
  snapshotKeepCount: number;
  sweepIntervalMs: number;
  sweepGraceMs: number;
}

export type PolicyField = keyof PolicyValues;
export type PolicySource = 'table' | 'namespace' | 'default' | 'built-in';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const MIB = 1024 * 1024;

export const BUILT_IN: PolicyValues = {
  compactIntervalMs: 15 * MINUTE_MS,
  compactSmallFileBytes: 64 * MIB,
  compactTargetFileBytes: 512 * MIB,
  compactMinFiles: 8,
  expireIntervalMs: HOUR_MS,
  snapshotRetentionMs: 7 * DAY_MS,
  snapshotKeepCount: 1,
  sweepIntervalMs: DAY_MS,
  sweepGraceMs: DAY_MS,
};

/** The least legal value of each field. */
const LEAST: PolicyValues = {
  compactIntervalMs: 0,
  compactSmallFileBytes: 1,
  compactTargetFileBytes: 1,
  compactMinFiles: 2,
  expireIntervalMs: 0,
  snapshotRetentionMs: 0,
  snapshotKeepCount: 1,
  sweepIntervalMs: 0,
  sweepGraceMs: 0,
};

export const POLICY_FIELDS = Object.keys(BUILT_IN) as PolicyField[];

/** compactMinFiles → compact_min_files: the field's name in the .proto file. */
export const protoName = (field: PolicyField): string =>
  field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** The fields that a message sets; `invalid` names the field and its least value. */
export function policyValues(policy: Partial<Policy> | undefined): Partial<PolicyValues> {
  const values: Partial<PolicyValues> = {};
  for (const field of POLICY_FIELDS) {
    const given = policy?.[field];
    if (given === undefined) continue;
    const value = Number(given);
    if (!Number.isSafeInteger(value) || value < LEAST[field]) {
      throw new MillraceError('invalid', `${protoName(field)} is ${given}: use ${LEAST[field]} or more`, {
        code: 'policy-value',
        context: { field: protoName(field) },
      });
    }
    values[field] = value;
  }
  return values;
}

/** The nearest level that sets a field decides it. */
export function resolvePolicy(levels: { source: PolicySource; values: Partial<PolicyValues> }[]): {
  values: PolicyValues;
  sources: Record<PolicyField, PolicySource>;
} {
  const values = { ...BUILT_IN };
  const sources = Object.fromEntries(POLICY_FIELDS.map((field) => [field, 'built-in'])) as Record<
    PolicyField,
    PolicySource
  >;
  for (const field of POLICY_FIELDS) {
    const level = levels.find((one) => one.values[field] !== undefined);
    if (level === undefined) continue;
    values[field] = level.values[field]!;
    sources[field] = level.source;
  }
  return { values, sources };
}
