export type { Action, AddFile, CommitInfo, Metadata, Protocol, RemoveFile, Txn } from './actions.ts';
export { readCheckpoint } from './checkpoint-reader.ts';
export { writeCheckpoint } from './checkpoint-writer.ts';
export { cleanLog, type LogCleanup, oldestReadableVersion } from './cleanup.ts';
export { type Drift, driftError } from './drift.ts';
export { hoursInterval, parseInterval } from './duration.ts';
export { parseJson, stringifyJson } from './json.ts';
export { checkpointKey, commitKey, LOG_FOLDER, type LogFile, listLog, readLogSegment } from './log-segment.ts';
export { decodePath, encodePath } from './path.ts';
export { checkReadable, checkWritable, leastProtocol, upgradeProtocol } from './protocol.ts';
export {
  type DeltaField,
  type DeltaStruct,
  type DeltaType,
  deltaSchema,
  parseDeltaSchema,
  tableSchemaOf,
} from './schema.ts';
export { evolveSchema, type SchemaChange } from './schema-change.ts';
export { type LoadOptions, loadSnapshot, readCommit, refresh, type Snapshot } from './snapshot.ts';
export { type ColumnBounds, statisticsWriter } from './statistics.ts';
export { commit, type DeltaTable, openTable, refreshTable, type Transaction } from './table.ts';
