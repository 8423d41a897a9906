import { MillraceError } from '@millrace/base';

/** The languages that registries keep schemas in. */
export type SchemaLanguage = 'avro' | 'protobuf' | 'json';

/** A schema under its id. The text stands for itself: what it referred to has been written into it. */
export interface RegisteredSchema {
  id: number;
  type: SchemaLanguage;
  text: string;
  /** The subject and version that it was asked for by; absent when asked for by id. */
  subject?: string;
  version?: number;
}

/** Where writer schemas come from. An id never changes its meaning, so answers to byId are kept. */
export interface SchemaSource {
  /** Throws `not-found` (code "unknown-schema-id"). */
  byId(id: number, signal?: AbortSignal): Promise<RegisteredSchema>;
  /** The newest version of a subject. Throws `not-found` (code "unknown-subject"). */
  latest(subject: string, signal?: AbortSignal): Promise<RegisteredSchema>;
  /** All versions of a subject, ascending. Throws `not-found` (code "unknown-subject"). */
  versions(subject: string, signal?: AbortSignal): Promise<RegisteredSchema[]>;
}

export const unknownId = (id: number, where: string): MillraceError =>
  new MillraceError('not-found', `${where} has no schema with id ${id}`, {
    code: 'unknown-schema-id',
    context: { schemaId: id },
  });

export const unknownSubject = (subject: string, where: string): MillraceError =>
  new MillraceError('not-found', `${where} has no schema for the subject "${subject}"`, {
    code: 'unknown-subject',
    context: { subject },
  });
