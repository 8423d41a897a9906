import type { ColumnType, Field, TableSchema } from '@millrace/schema';

/**
 * A classic checkpoint's columns (protocol, "Checkpoint Schema", V1): one struct for each kind of action; in each row
 * one of them is set. Ids only number the columns inside this program: the file has none.
 */
let lastColumnId = 0;
const field = (name: string, type: ColumnType, required = false): Field => ({
  id: ++lastColumnId,
  name,
  type,
  required,
});
const struct = (fields: Field[]): ColumnType => ({ kind: 'struct', fields });
const string: ColumnType = { kind: 'string' };
const long: ColumnType = { kind: 'long' };
const int: ColumnType = { kind: 'int' };
const boolean: ColumnType = { kind: 'boolean' };
const strings = (): ColumnType => ({
  kind: 'list',
  elementId: ++lastColumnId,
  element: string,
  elementRequired: false,
});
const stringMap = (): ColumnType => ({
  kind: 'map',
  keyId: ++lastColumnId,
  key: string,
  valueId: ++lastColumnId,
  value: string,
  valueRequired: false,
});

const fields: Field[] = [
  field('txn', struct([field('appId', string), field('version', long), field('lastUpdated', long)])),
  field(
    'add',
    struct([
      field('path', string),
      field('partitionValues', stringMap()),
      field('size', long),
      field('modificationTime', long),
      field('dataChange', boolean),
      field('stats', string),
      field('tags', stringMap()),
    ]),
  ),
  field(
    'remove',
    struct([
      field('path', string),
      field('deletionTimestamp', long),
      field('dataChange', boolean),
      field('extendedFileMetadata', boolean),
      field('partitionValues', stringMap()),
      field('size', long),
    ]),
  ),
  field(
    'metaData',
    struct([
      field('id', string),
      field('name', string),
      field('description', string),
      field('format', struct([field('provider', string), field('options', stringMap())])),
      field('schemaString', string),
      field('partitionColumns', strings()),
      field('configuration', stringMap()),
      field('createdTime', long),
    ]),
  ),
  field(
    'protocol',
    struct([
      field('minReaderVersion', int),
      field('minWriterVersion', int),
      field('readerFeatures', strings()),
      field('writerFeatures', strings()),
    ]),
  ),
];

export const CHECKPOINT_SCHEMA: TableSchema = { schemaId: 0, fields, lastColumnId };
