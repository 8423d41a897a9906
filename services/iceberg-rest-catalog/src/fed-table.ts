import { MillraceError } from '@millrace/base';
import { MAIN_BRANCH, type TableMetadata, type TableUpdate } from '@millrace/iceberg';
import { LEDGER_VERSION } from '@millrace/ledger';
import { formatIdent, type TableIdent } from './catalog-errors.ts';

/** What the projection writes into tables that a topic feeds. */
export const TABLE_UUID = 'millrace.table-uuid';
export const TOPIC = 'millrace.topic';
export const DISABLED = 'millrace.disabled';
export const TYPE_MAPPING = 'millrace.type-mapping';

/** Properties whose change would break what Millrace promises about the table. */
const RESERVED = [
  /^millrace\./,
  /^gc\.enabled$/,
  /^write\.(metadata|data)\.path$/,
  /^history\.expire\./,
  /^format-version$/,
];
const isReserved = (key: string): boolean => RESERVED.some((pattern) => pattern.test(key));

/**
 * The newest ledger version that the table shows: the current snapshot carries it, and a version without data (schema,
 * formats) a property.
 */
export function ledgerVersionOf(metadata: TableMetadata): bigint {
  const current = metadata.snapshots.find((snapshot) => snapshot['snapshot-id'] === metadata['current-snapshot-id']);
  const [snapshot, property] = [current?.summary, metadata.properties].map((values) =>
    BigInt(values?.[LEDGER_VERSION] ?? 0),
  );
  return snapshot! > property! ? snapshot! : property!;
}

/**
 * Refuses, with the way out, what an outside commit may not do to a table that a topic feeds: only comments and other
 * properties, tags and statistics may change.
 */
export function checkOutsideCommit(ident: TableIdent, updates: TableUpdate[]): void {
  for (const update of updates) {
    const reason = refusal(update);
    if (reason !== undefined) {
      throw new MillraceError(
        'permission',
        `${formatIdent(ident)} is fed by a topic, so ${reason}; other engines may change its properties (but not ${'millrace.*, gc.enabled, write.*.path, history.expire.*'}), tags and statistics. To change its data, write to the topic, or copy it into a table of your own`,
        { code: 'ForbiddenException', context: { action: update.action } },
      );
    }
  }
}

function refusal(update: TableUpdate): string | undefined {
  switch (update.action) {
    case 'set-properties':
      return reservedKey(Object.keys(update.updates));
    case 'remove-properties':
      return reservedKey(update.removals);
    case 'set-snapshot-ref':
      return update.type === 'tag' ? undefined : `its branches can't be moved or made (${update['ref-name']})`;
    case 'remove-snapshot-ref':
      return update['ref-name'] === MAIN_BRANCH ? "its main branch can't be removed" : undefined;
    case 'set-statistics':
    case 'remove-statistics':
    case 'set-partition-statistics':
    case 'remove-partition-statistics':
    case 'assign-uuid':
      return undefined;
    default:
      return `${update.action} is Millrace's alone`;
  }
}

function reservedKey(keys: string[]): string | undefined {
  const reserved = keys.find(isReserved);
  return reserved === undefined ? undefined : `its property ${reserved} is Millrace's alone`;
}

export const refuseFed = (ident: TableIdent, verb: string, wayOut: string): MillraceError =>
  new MillraceError('permission', `${formatIdent(ident)} is fed by a topic and can't be ${verb} here: ${wayOut}`, {
    code: 'ForbiddenException',
  });
