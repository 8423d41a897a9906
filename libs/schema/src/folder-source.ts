import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { MillraceError, toMillraceError } from '@millrace/base';
import {
  type RegisteredSchema,
  type SchemaLanguage,
  type SchemaSource,
  unknownId,
  unknownSubject,
} from './schema-source.ts';
import { checkSchema, selfContained } from './schema-text.ts';

const FILE_NAME = /^([1-9]\d{0,8})-(\d{1,9})\.(avsc|proto|json)$/;
const LANGUAGES: Record<string, SchemaLanguage> = { avsc: 'avro', proto: 'protobuf', json: 'json' };
const SCHEMA_FILE = /^[^.].*\.(avsc|proto|json)$/;
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Schemas in a folder: `<dir>/<subject>/<version>-<id>.avsc` (Avro), `.proto` (Protobuf) or `.json` (JSON Schema), such as
 * orders-value/2-17.avsc. What a .proto file imports lies under `<dir>/<subject>/imports/`. The folder is read anew at
 * each question that what is known can't answer, so files may be added while it is in use; a file is written elsewhere
 * and renamed into place. Two files may share an id only with the same text. Other files are passed over; one of these
 * three with another name, or text that is no schema, is `invalid` and named.
 */
export function folderSchemaSource(dir: string): SchemaSource {
  const known = new Map<number, RegisteredSchema>();
  const where = `The schema folder ${dir}`;
  return {
    async byId(id) {
      const found = known.get(id);
      if (found) return found;
      for (const subject of await subjects(dir))
        for (const file of await list(dir, subject)) if (file.id === id) await load(dir, file, known);
      const loaded = known.get(id);
      if (!loaded) throw unknownId(id, where);
      return loaded;
    },
    async latest(subject) {
      const file = (await list(dir, subject)).at(-1);
      if (!file) throw unknownSubject(subject, where);
      return load(dir, file, known);
    },
    async versions(subject) {
      const files = await list(dir, subject);
      if (files.length === 0) throw unknownSubject(subject, where);
      return Promise.all(files.map((file) => load(dir, file, known)));
    },
  };
}

interface SchemaFile {
  subject: string;
  version: number;
  id: number;
  name: string;
  type: SchemaLanguage;
}

async function subjects(dir: string): Promise<string[]> {
  const entries = await orNone(readdir(dir, { withFileTypes: true }));
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

async function list(dir: string, subject: string): Promise<SchemaFile[]> {
  // A subject is one folder's name; anything else could point out of the folder.
  if (subject === '' || subject === '.' || subject === '..' || /[/\\\0]/.test(subject)) return [];
  const names = (await orNone(readdir(join(dir, subject)))).filter((name) => SCHEMA_FILE.test(name));
  const files = names.map((name): SchemaFile => {
    const match = FILE_NAME.exec(name);
    if (!match)
      throw new MillraceError(
        'invalid',
        `${join(dir, subject, name)} is not named <version>-<id>.avsc (.proto, .json), such as 1-17.avsc: rename or remove it`,
        { code: 'schema-file-name', context: { subject } },
      );
    return { subject, name, version: Number(match[1]), id: Number(match[2]), type: LANGUAGES[match[3]!]! };
  });
  files.sort((a, b) => a.version - b.version);
  for (const [at, file] of files.entries())
    if (files[at + 1]?.version === file.version)
      throw new MillraceError('invalid', `${join(dir, subject)} has version ${file.version} twice`, {
        code: 'schema-file-name',
      });
  return files;
}

async function load(dir: string, file: SchemaFile, known: Map<number, RegisteredSchema>): Promise<RegisteredSchema> {
  const { id, type, subject, version } = file;
  const path = join(dir, subject, file.name);
  const own = await read(path);
  const imports = type === 'protobuf' ? await readImports(join(dir, subject, 'imports')) : new Map<string, string>();
  const text = selfContained(type, own, imports);
  const before = known.get(id);
  if (before && before.text !== text)
    throw new MillraceError(
      'invalid',
      `${path} gives the id ${id} to another schema than it had before: ids never change`,
      { code: 'schema-id-reused', context: { schemaId: id } },
    );
  if (!before) {
    try {
      checkSchema(type, text);
    } catch (error) {
      const known = toMillraceError(error);
      throw new MillraceError(known.kind, `${path}: ${known.message}`, { code: known.code, context: { file: path } });
    }
    known.set(id, { id, type, text });
  }
  return { id, type, text, subject, version };
}

async function read(path: string): Promise<string> {
  const { size } = await stat(path).catch((error) => {
    throw toMillraceError(error, { file: path });
  });
  if (size > MAX_BYTES)
    throw new MillraceError('invalid', `${path} has ${size} bytes, more than ${MAX_BYTES}`, { code: 'schema-size' });
  return readFile(path, 'utf8');
}

/** The .proto files below a folder, by the path that an import calls them. */
async function readImports(dir: string): Promise<Map<string, string>> {
  const entries = await orNone(readdir(dir, { recursive: true, withFileTypes: true }));
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.proto'));
  const paths = files.map((file) => relative(dir, join(file.parentPath, file.name)).split(sep).join('/')).sort();
  return new Map(await Promise.all(paths.map(async (path) => [path, await read(join(dir, path))] as const)));
}

async function orNone<T>(entries: Promise<T[]>): Promise<T[]> {
  try {
    return await entries;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw toMillraceError(error);
  }
}
