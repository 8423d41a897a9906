import { MillraceError } from '@millrace/base';
import type { PartitionSpec, SchemaJson, SortOrder, TableRequirement, TableUpdate } from '@millrace/iceberg';
import { z } from 'zod';

// Requests of the REST specification. Objects are loose: what a later version adds passes and is kept where it is stored.

const long = z.union([z.bigint(), z.int().transform(BigInt)]);
const id = z.int();
const properties = z.record(z.string(), z.string());
const levels = z.array(z.string());
const ident = z.looseObject({ namespace: levels, name: z.string().min(1) });

const type: z.ZodType = z.lazy(() => z.union([z.string(), struct, list, map]));
const field = z.looseObject({ id, name: z.string(), required: z.boolean(), type, doc: z.string().optional() });
const struct = z.looseObject({ type: z.literal('struct'), fields: z.array(field) });
const list = z.looseObject({
  type: z.literal('list'),
  'element-id': id,
  element: type,
  'element-required': z.boolean(),
});
const map = z.looseObject({
  type: z.literal('map'),
  'key-id': id,
  key: type,
  'value-id': id,
  value: type,
  'value-required': z.boolean(),
});
const schema = struct.extend({ 'schema-id': id.default(0), 'identifier-field-ids': z.array(id).optional() });

const source = { 'source-id': id.optional(), 'source-ids': z.array(id).min(1).optional(), transform: z.string() };
const hasSource = (f: { 'source-id'?: number | undefined; 'source-ids'?: number[] | undefined }): boolean =>
  f['source-id'] !== undefined || f['source-ids'] !== undefined;
const spec = z.looseObject({
  'spec-id': id.default(0),
  fields: z.array(
    z.looseObject({ ...source, 'field-id': id.optional(), name: z.string() }).refine(hasSource, 'needs source-id'),
  ),
});
const order = z.looseObject({
  'order-id': id.default(0),
  fields: z.array(
    z
      .looseObject({
        ...source,
        direction: z.enum(['asc', 'desc']),
        'null-order': z.enum(['nulls-first', 'nulls-last']),
      })
      .refine(hasSource, 'needs source-id'),
  ),
});

const snapshot = z.looseObject({
  'snapshot-id': long,
  'parent-snapshot-id': long.nullish().transform((parent) => parent ?? undefined),
  'sequence-number': id.default(0),
  'timestamp-ms': id,
  'manifest-list': z.string().optional(),
  summary: z
    .looseObject({ operation: z.enum(['append', 'replace', 'overwrite', 'delete']) })
    .default({ operation: 'append' }),
  'schema-id': id.optional(),
});
const statistics = z.looseObject({ 'snapshot-id': long, 'statistics-path': z.string() });

const update = z.discriminatedUnion('action', [
  z.looseObject({ action: z.literal('assign-uuid'), uuid: z.uuid() }),
  z.looseObject({ action: z.literal('upgrade-format-version'), 'format-version': id }),
  z.looseObject({ action: z.literal('add-schema'), schema }),
  z.looseObject({ action: z.literal('set-current-schema'), 'schema-id': id }),
  z.looseObject({ action: z.literal('add-spec'), spec }),
  z.looseObject({ action: z.literal('set-default-spec'), 'spec-id': id }),
  z.looseObject({ action: z.literal('add-sort-order'), 'sort-order': order }),
  z.looseObject({ action: z.literal('set-default-sort-order'), 'sort-order-id': id }),
  z.looseObject({ action: z.literal('add-snapshot'), snapshot }),
  z.looseObject({
    action: z.literal('set-snapshot-ref'),
    'ref-name': z.string().min(1),
    type: z.enum(['branch', 'tag']),
    'snapshot-id': long,
    'min-snapshots-to-keep': id.optional(),
    'max-snapshot-age-ms': id.optional(),
    'max-ref-age-ms': id.optional(),
  }),
  z.looseObject({ action: z.literal('remove-snapshots'), 'snapshot-ids': z.array(long) }),
  z.looseObject({ action: z.literal('remove-snapshot-ref'), 'ref-name': z.string() }),
  z.looseObject({ action: z.literal('set-location'), location: z.string().min(1) }),
  z.looseObject({ action: z.literal('set-properties'), updates: properties }),
  z.looseObject({ action: z.literal('remove-properties'), removals: z.array(z.string()) }),
  z.looseObject({ action: z.literal('remove-schemas'), 'schema-ids': z.array(id) }),
  z.looseObject({ action: z.literal('remove-partition-specs'), 'spec-ids': z.array(id) }),
  z.looseObject({ action: z.literal('set-statistics'), statistics }),
  z.looseObject({ action: z.literal('remove-statistics'), 'snapshot-id': long }),
  z.looseObject({ action: z.literal('set-partition-statistics'), 'partition-statistics': statistics }),
  z.looseObject({ action: z.literal('remove-partition-statistics'), 'snapshot-id': long }),
]);

const requirement = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('assert-create') }),
  z.looseObject({ type: z.literal('assert-table-uuid'), uuid: z.string() }),
  z.looseObject({
    type: z.literal('assert-ref-snapshot-id'),
    ref: z.string(),
    'snapshot-id': long.nullish().transform((value) => value ?? null),
  }),
  z.looseObject({ type: z.literal('assert-last-assigned-field-id'), 'last-assigned-field-id': id }),
  z.looseObject({ type: z.literal('assert-current-schema-id'), 'current-schema-id': id }),
  z.looseObject({ type: z.literal('assert-last-assigned-partition-id'), 'last-assigned-partition-id': id }),
  z.looseObject({ type: z.literal('assert-default-spec-id'), 'default-spec-id': id }),
  z.looseObject({ type: z.literal('assert-default-sort-order-id'), 'default-sort-order-id': id }),
]);

export const createNamespaceRequest = z.looseObject({ namespace: levels, properties: properties.nullish() });
export const updatePropertiesRequest = z.looseObject({
  removals: z.array(z.string()).nullish(),
  updates: properties.nullish(),
});
export const createTableRequest = z.looseObject({
  name: z.string().min(1),
  location: z.string().nullish(),
  schema,
  'partition-spec': spec.nullish(),
  'write-order': order.nullish(),
  'stage-create': z.boolean().nullish(),
  properties: properties.nullish(),
});
export const registerTableRequest = z.looseObject({
  name: z.string().min(1),
  'metadata-location': z.string(),
  overwrite: z.boolean().nullish(),
});
export const renameTableRequest = z.looseObject({ source: ident, destination: ident });
export const commitTableRequest = z.looseObject({
  identifier: ident.nullish(),
  requirements: z.array(requirement),
  updates: z.array(update),
});
export const commitTransactionRequest = z.looseObject({
  'table-changes': z.array(commitTableRequest.extend({ identifier: ident })).min(1),
});

export interface CreateTableRequest {
  name: string;
  location?: string | null;
  schema: SchemaJson;
  'partition-spec'?: PartitionSpec | null;
  'write-order'?: SortOrder | null;
  'stage-create'?: boolean | null;
  properties?: Record<string, string> | null;
}

export interface CommitRequest {
  requirements: TableRequirement[];
  updates: TableUpdate[];
}

/** The request body in its shape; a BadRequestException says which part of it is wrong. */
export function checkBody<S extends z.ZodType>(shape: S, body: unknown): z.infer<S> {
  const result = shape.safeParse(body);
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  throw new MillraceError('invalid', `Malformed request: ${issues.join('; ')}`, { code: 'BadRequestException' });
}
