import { type Database, type Migration, openDatabase } from '@millrace/database';
import { type OwnerSchema, ownersMigration } from '@millrace/ownership';
import type { Generated, Kysely, Transaction } from 'kysely';
import { sql } from 'kysely';

// Offsets, versions, sizes and times are whole numbers below 2^53. Flags are 0 and 1. `body` columns hold protobuf
// messages, columns that end in `_json` JSON text. Enumerations are stored as the numbers of the .proto files.
export interface LedgerSchema extends OwnerSchema {
  /** A row for every table ever made; `live_name` ("namespace/name") is null once it is dropped. */
  tables: {
    table_uuid: string;
    namespace: string;
    name: string;
    live_name: string | null;
    topic: string;
    location: string;
    formats_json: string;
    schema_id: number;
    version: number;
    oldest_version: number;
    version_ms: number;
    record_count: Generated<number>;
    file_count: Generated<number>;
    size_bytes: Generated<number>;
    skipped_count: Generated<number>;
    dead_letter_count: Generated<number>;
    /** The latest Kafka timestamp of its records, in milliseconds; 0: unknown. */
    newest_record_ms: Generated<number>;
    dropped: Generated<number>;
    purge: Generated<number>;
    created_ms: number;
    /** Counted up by every transaction that changes the table: the row lock that orders them in every database. */
    changes: Generated<number>;
    /** Of the newest maintenance job that decided what is nobody's: proposals of older ones are refused. */
    maintenance_epoch: Generated<number>;
  };
  topics: {
    topic: string;
    table_uuid: string;
    /** Kafka's id of the topic, once the source has shown it: another topic of the same name is another log. */
    topic_id: string | null;
    state: number;
    error_json: string | null;
    error_policy: number;
    commit_interval_ms: number;
    commit_bytes: number;
    kafka_columns_json: string;
    key_format_json: string;
    value_format_json: string;
    /** Order of the last lease among topics: the topic with the smallest is next. */
    lease_turn: Generated<number>;
    /** Leased since then: a turn ends after so many bytes of log, or splits. */
    turn_splits: Generated<number>;
    turn_bytes: Generated<number>;
    last_commit_ms: Generated<number>;
  };
  /** The table's own schemas, as Iceberg schema JSON. */
  table_schemas: { table_uuid: string; schema_id: number; schema_json: string };
  /** Registry schemas whose fields are part of the table. */
  merged_schemas: { table_uuid: string; is_key: number; registry_id: number };
  partitions: {
    table_uuid: string;
    partition: number;
    start_offset: number;
    committed_offset: number;
    planned_offset: number;
    source_end_offset: number;
  };
  splits: {
    split_id: string;
    table_uuid: string;
    partition: number;
    start_offset: number;
    end_offset: number;
    state: SplitState;
    epoch: Generated<number>;
    owner: string | null;
    expires_ms: Generated<number>;
    attempts: Generated<number>;
    not_before_ms: Generated<number>;
    /** The .proto's Split with its ranges and index keys. */
    body: Uint8Array;
    traceparent: string;
    created_ms: number;
    /** The rest is known once the split is converted. */
    converted_ms: Generated<number>;
    data_bytes: Generated<number>;
    stored_bytes: Generated<number>;
    skipped_count: Generated<number>;
    newest_record_ms: Generated<number>;
    dead_letters: Uint8Array | null;
  };
  versions: {
    table_uuid: string;
    version: number;
    kind: number;
    schema_id: number;
    created_ms: number;
    /** The .proto's LedgerVersion without its files. */
    body: Uint8Array;
  };
  /** I1 in the database's own hands: no two versions start at one offset of a partition. */
  version_offsets: {
    table_uuid: string;
    partition: number;
    start_offset: number;
    end_offset: number;
    version: number;
  };
  /** I2: a path enters a table once. `added_version` is null while its split is converted and not committed. */
  files: {
    table_uuid: string;
    path: string;
    split_id: string | null;
    position: number;
    added_version: number | null;
    removed_version: number | null;
    removed_ms: number | null;
    forgotten: Generated<number>;
    size_bytes: number;
    record_count: number;
    /** The .proto's DataFile, without and with nothing but its column statistics: joined, they are the message. */
    body: Uint8Array;
    column_stats: Uint8Array;
  };
  dead_letters: { table_uuid: string; path: string; split_id: string };
  proposals: { table_uuid: string; proposal_id: string; version: number };
}

export type SplitState = 'pending' | 'leased' | 'converted' | 'committed';
export type LedgerDb = Kysely<LedgerSchema>;
export type LedgerTransaction = Transaction<LedgerSchema>;

const migrations: Migration[] = [
  {
    name: '0001-ledger',
    async up(db) {
      const bytes = sql`bytea`;
      await db.schema
        .createTable('tables')
        .addColumn('table_uuid', 'text', (c) => c.primaryKey())
        .addColumn('namespace', 'text', (c) => c.notNull())
        .addColumn('name', 'text', (c) => c.notNull())
        .addColumn('live_name', 'text', (c) => c.unique())
        .addColumn('topic', 'text', (c) => c.notNull())
        .addColumn('location', 'text', (c) => c.notNull().unique())
        .addColumn('formats_json', 'text', (c) => c.notNull())
        .addColumn('schema_id', 'integer', (c) => c.notNull())
        .addColumn('version', 'bigint', (c) => c.notNull())
        .addColumn('oldest_version', 'bigint', (c) => c.notNull())
        .addColumn('version_ms', 'bigint', (c) => c.notNull())
        .addColumn('record_count', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('file_count', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('size_bytes', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('skipped_count', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('dead_letter_count', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('dropped', 'integer', (c) => c.notNull().defaultTo(0))
        .addColumn('purge', 'integer', (c) => c.notNull().defaultTo(0))
        .addColumn('created_ms', 'bigint', (c) => c.notNull())
        .addColumn('changes', 'bigint', (c) => c.notNull().defaultTo(0))
        .execute();
      await db.schema.createIndex('tables_name').on('tables').columns(['namespace', 'name', 'created_ms']).execute();
      await db.schema
        .createTable('topics')
        .addColumn('topic', 'text', (c) => c.primaryKey())
        .addColumn('table_uuid', 'text', (c) => c.notNull().unique().references('tables.table_uuid'))
        .addColumn('topic_id', 'text')
        .addColumn('state', 'integer', (c) => c.notNull())
        .addColumn('error_json', 'text')
        .addColumn('error_policy', 'integer', (c) => c.notNull())
        .addColumn('commit_interval_ms', 'bigint', (c) => c.notNull())
        .addColumn('commit_bytes', 'bigint', (c) => c.notNull())
        .addColumn('kafka_columns_json', 'text', (c) => c.notNull())
        .addColumn('key_format_json', 'text', (c) => c.notNull())
        .addColumn('value_format_json', 'text', (c) => c.notNull())
        .addColumn('lease_turn', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('last_commit_ms', 'bigint', (c) => c.notNull().defaultTo(0))
        .execute();
      await db.schema
        .createTable('table_schemas')
        .addColumn('table_uuid', 'text', (c) => c.notNull().references('tables.table_uuid'))
        .addColumn('schema_id', 'integer', (c) => c.notNull())
        .addColumn('schema_json', 'text', (c) => c.notNull())
        .addPrimaryKeyConstraint('table_schemas_key', ['table_uuid', 'schema_id'])
        .execute();
      await db.schema
        .createTable('merged_schemas')
        .addColumn('table_uuid', 'text', (c) => c.notNull().references('tables.table_uuid'))
        .addColumn('is_key', 'integer', (c) => c.notNull())
        .addColumn('registry_id', 'integer', (c) => c.notNull())
        .addPrimaryKeyConstraint('merged_schemas_key', ['table_uuid', 'is_key', 'registry_id'])
        .execute();
      await db.schema
        .createTable('partitions')
        .addColumn('table_uuid', 'text', (c) => c.notNull().references('tables.table_uuid'))
        .addColumn('partition', 'integer', (c) => c.notNull())
        .addColumn('start_offset', 'bigint', (c) => c.notNull())
        .addColumn('committed_offset', 'bigint', (c) => c.notNull())
        .addColumn('planned_offset', 'bigint', (c) => c.notNull())
        .addColumn('source_end_offset', 'bigint', (c) => c.notNull())
        .addPrimaryKeyConstraint('partitions_key', ['table_uuid', 'partition'])
        .addCheckConstraint(
          'partitions_order',
          sql`start_offset <= committed_offset and committed_offset <= planned_offset`,
        )
        .execute();
      await db.schema
        .createTable('splits')
        .addColumn('split_id', 'text', (c) => c.primaryKey())
        .addColumn('table_uuid', 'text', (c) => c.notNull().references('tables.table_uuid'))
        .addColumn('partition', 'integer', (c) => c.notNull())
        .addColumn('start_offset', 'bigint', (c) => c.notNull())
        .addColumn('end_offset', 'bigint', (c) => c.notNull())
        .addColumn('state', 'text', (c) => c.notNull())
        .addColumn('epoch', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('owner', 'text')
        .addColumn('expires_ms', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('attempts', 'integer', (c) => c.notNull().defaultTo(0))
        .addColumn('not_before_ms', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('body', bytes, (c) => c.notNull())
        .addColumn('traceparent', 'text', (c) => c.notNull())
        .addColumn('created_ms', 'bigint', (c) => c.notNull())
        .addColumn('converted_ms', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('data_bytes', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('stored_bytes', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('skipped_count', 'bigint', (c) => c.notNull().defaultTo(0))
        .addColumn('dead_letters', bytes)
        .addUniqueConstraint('splits_start', ['table_uuid', 'partition', 'start_offset'])
        .addCheckConstraint('splits_range', sql`start_offset < end_offset`)
        .execute();
      await db.schema.createIndex('splits_state').on('splits').columns(['state', 'table_uuid']).execute();
      await db.schema
        .createTable('versions')
        .addColumn('table_uuid', 'text', (c) => c.notNull().references('tables.table_uuid'))
        .addColumn('version', 'bigint', (c) => c.notNull())
        .addColumn('kind', 'integer', (c) => c.notNull())
        .addColumn('schema_id', 'integer', (c) => c.notNull())
        .addColumn('created_ms', 'bigint', (c) => c.notNull())
        .addColumn('body', bytes, (c) => c.notNull())
        .addPrimaryKeyConstraint('versions_key', ['table_uuid', 'version'])
        .execute();
      await db.schema
        .createTable('version_offsets')
        .addColumn('table_uuid', 'text', (c) => c.notNull().references('tables.table_uuid'))
        .addColumn('partition', 'integer', (c) => c.notNull())
        .addColumn('start_offset', 'bigint', (c) => c.notNull())
        .addColumn('end_offset', 'bigint', (c) => c.notNull())
        .addColumn('version', 'bigint', (c) => c.notNull())
        .addPrimaryKeyConstraint('version_offsets_key', ['table_uuid', 'partition', 'start_offset'])
        .execute();
      await db.schema
        .createTable('files')
        .addColumn('table_uuid', 'text', (c) => c.notNull().references('tables.table_uuid'))
        .addColumn('path', 'text', (c) => c.notNull())
        .addColumn('split_id', 'text')
        .addColumn('position', 'integer', (c) => c.notNull())
        .addColumn('added_version', 'bigint')
        .addColumn('removed_version', 'bigint')
        .addColumn('removed_ms', 'bigint')
        .addColumn('forgotten', 'integer', (c) => c.notNull().defaultTo(0))
        .addColumn('size_bytes', 'bigint', (c) => c.notNull())
        .addColumn('record_count', 'bigint', (c) => c.notNull())
        .addColumn('body', bytes, (c) => c.notNull())
        .addColumn('column_stats', bytes, (c) => c.notNull())
        .addPrimaryKeyConstraint('files_key', ['table_uuid', 'path'])
        .execute();
      await db.schema.createIndex('files_added').on('files').columns(['table_uuid', 'added_version']).execute();
      await db.schema.createIndex('files_removed').on('files').columns(['table_uuid', 'removed_version']).execute();
      await db.schema.createIndex('files_split').on('files').columns(['split_id']).execute();
      await db.schema
        .createTable('dead_letters')
        .addColumn('table_uuid', 'text', (c) => c.notNull().references('tables.table_uuid'))
        .addColumn('path', 'text', (c) => c.notNull())
        .addColumn('split_id', 'text', (c) => c.notNull())
        .addPrimaryKeyConstraint('dead_letters_key', ['table_uuid', 'path'])
        .execute();
      await db.schema.createIndex('dead_letters_split').on('dead_letters').columns(['split_id']).execute();
      await db.schema
        .createTable('proposals')
        .addColumn('table_uuid', 'text', (c) => c.notNull().references('tables.table_uuid'))
        .addColumn('proposal_id', 'text', (c) => c.notNull())
        .addColumn('version', 'bigint', (c) => c.notNull())
        .addPrimaryKeyConstraint('proposals_key', ['table_uuid', 'proposal_id'])
        .execute();
    },
  },
  {
    name: '0002-newest-record',
    async up(db) {
      for (const table of ['tables', 'splits']) {
        await db.schema
          .alterTable(table)
          .addColumn('newest_record_ms', 'bigint', (c) => c.notNull().defaultTo(0))
          .execute();
      }
    },
  },
  ownersMigration,
  {
    name: '0003-maintenance-epoch',
    async up(db) {
      await db.schema
        .alterTable('tables')
        .addColumn('maintenance_epoch', 'bigint', (c) => c.notNull().defaultTo(0))
        .execute();
    },
  },
  {
    name: '0004-many-topics',
    async up(db) {
      // Whose turn it is, whether it has a split that waits, and a table's newest splits: each without reading others'.
      for (const column of ['turn_splits', 'turn_bytes']) {
        await db.schema
          .alterTable('topics')
          .addColumn(column, 'bigint', (c) => c.notNull().defaultTo(0))
          .execute();
      }
      await db.schema.createIndex('topics_turn').on('topics').columns(['state', 'lease_turn', 'topic']).execute();
      await db.schema.dropIndex('splits_state').execute();
      const waiting = ['state', 'table_uuid', 'not_before_ms'] as const;
      await db.schema
        .createIndex('splits_waiting')
        .on('splits')
        .columns([...waiting])
        .execute();
      const converted = ['table_uuid', 'state', 'converted_ms'] as const;
      await db.schema
        .createIndex('splits_converted')
        .on('splits')
        .columns([...converted])
        .execute();
    },
  },
];

/** Opens the ledger's database (`sqlite:<path>`, `sqlite::memory:`) and brings its schema up to date. */
export const openLedger = (url: string): Promise<Database<LedgerSchema>> => openDatabase(url, migrations);
