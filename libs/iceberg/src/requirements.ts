import { MillraceError } from '@millrace/base';
import { currentSchema, type TableMetadata } from './table-metadata.ts';

/** What a commit expects of the table (REST specification, TableRequirement). */
export type TableRequirement =
  | { type: 'assert-create' }
  | { type: 'assert-table-uuid'; uuid: string }
  | { type: 'assert-ref-snapshot-id'; ref: string; 'snapshot-id': bigint | null }
  | { type: 'assert-last-assigned-field-id'; 'last-assigned-field-id': number }
  | { type: 'assert-current-schema-id'; 'current-schema-id': number }
  | { type: 'assert-last-assigned-partition-id'; 'last-assigned-partition-id': number }
  | { type: 'assert-default-spec-id'; 'default-spec-id': number }
  | { type: 'assert-default-sort-order-id'; 'default-sort-order-id': number };

/**
 * Throws a `conflict` (CommitFailedException) for the first requirement that the table does not meet; `metadata` is
 * undefined for a table that does not exist.
 */
export function checkRequirements(metadata: TableMetadata | undefined, requirements: TableRequirement[]): void {
  for (const requirement of requirements) {
    if (requirement.type === 'assert-create') {
      if (metadata !== undefined) throw failed('table already exists');
    } else if (metadata === undefined) {
      throw failed('table does not exist');
    } else {
      checkExisting(metadata, requirement);
    }
  }
}

type ExistingRequirement = Exclude<TableRequirement, { type: 'assert-create' }>;

function checkExisting(metadata: TableMetadata, requirement: ExistingRequirement): void {
  switch (requirement.type) {
    case 'assert-table-uuid':
      if (requirement.uuid.toLowerCase() !== metadata['table-uuid'].toLowerCase()) {
        throw failed(`UUID does not match: expected ${metadata['table-uuid']} != ${requirement.uuid}`);
      }
      return;
    case 'assert-ref-snapshot-id':
      checkRef(metadata, requirement.ref, requirement['snapshot-id']);
      return;
    case 'assert-last-assigned-field-id':
      same('last assigned field id', requirement['last-assigned-field-id'], metadata['last-column-id']);
      return;
    case 'assert-current-schema-id':
      same('current schema', requirement['current-schema-id'], currentSchema(metadata)['schema-id']);
      return;
    case 'assert-last-assigned-partition-id':
      same('last assigned partition id', requirement['last-assigned-partition-id'], metadata['last-partition-id']);
      return;
    case 'assert-default-spec-id':
      same('default partition spec', requirement['default-spec-id'], metadata['default-spec-id']);
      return;
    case 'assert-default-sort-order-id':
      same('default sort order', requirement['default-sort-order-id'], metadata['default-sort-order-id']);
      return;
    default:
      throw new MillraceError('invalid', `unknown requirement ${String((requirement as { type: unknown }).type)}`);
  }
}

function checkRef(metadata: TableMetadata, name: string, expected: bigint | null): void {
  const ref = metadata.refs[name];
  if (ref === undefined) {
    if (expected !== null) throw failed(`branch or tag ${name} is missing, expected ${expected}`);
  } else if (expected === null) {
    throw failed(`${ref.type} ${name} was created concurrently`);
  } else if (ref['snapshot-id'] !== expected) {
    throw failed(`${ref.type} ${name} has changed: expected id ${expected} != ${ref['snapshot-id']}`);
  }
}

function same(what: string, expected: number, actual: number): void {
  if (expected !== actual) throw failed(`${what} changed: expected id ${expected} != ${actual}`);
}

const failed = (why: string): MillraceError =>
  new MillraceError('conflict', `Requirement failed: ${why}`, { code: 'CommitFailedException' });
