import { MillraceError } from '@millrace/base';
import { readDescriptor } from './protobuf-descriptor.ts';
import { linkProtobuf } from './protobuf-link.ts';
import { parseProtobufSource } from './protobuf-parse.ts';
import type { ProtobufFile } from './protobuf-schema.ts';
import type { ProtobufSource } from './protobuf-source.ts';
import { WELL_KNOWN_FILES } from './protobuf-well-known.ts';

/**
 * Reads a Protobuf schema: the text of a .proto file, a compiled one in base64, or what formatProtobufBundle made of one. `references`: the files that it may
 * import, by the name that the import has; google/protobuf, google/type and Confluent's own need none. Throws `invalid`
 * (code "protobuf-schema").
 */
export function parseProtobufSchema(text: string, references: ReadonlyMap<string, string> = new Map()): ProtobufFile {
  if (text.trimStart().startsWith('{')) {
    const bundle = readBundle(text);
    return parseProtobufSchema(bundle.text, new Map(Object.entries(bundle.imports)));
  }
  const main = readSource(text, '');
  const imported = new Map<string, ProtobufSource>();
  const wanted = main.imports.map((path) => ({ path, by: 'it' }));
  for (const { path, by } of wanted) {
    if (imported.has(path)) continue;
    const found = references.get(path) ?? WELL_KNOWN_FILES.get(path);
    if (found === undefined)
      throw new MillraceError(
        'invalid',
        `The Protobuf schema can not be read: ${by} imports ${path}, which is not among its references`,
        {
          code: 'protobuf-schema',
          context: { import: path },
        },
      );
    const source = readSource(found, path);
    imported.set(path, source);
    wanted.push(...source.imports.map((inner) => ({ path: inner, by: path })));
  }
  return linkProtobuf(main, imported.values());
}

const readSource = (text: string, name: string): ProtobufSource =>
  readDescriptor(text, name) ?? parseProtobufSource(text, name);

/**
 * A schema with the files that it imports as one text:
 *
 *   bundle := {"text": the .proto source, "imports": {path: source…}}
 */
export function formatProtobufBundle(text: string, references: ReadonlyMap<string, string>): string {
  return references.size === 0 ? text : JSON.stringify({ text, imports: Object.fromEntries(references) });
}

function readBundle(text: string): { text: string; imports: Record<string, string> } {
  try {
    const bundle = JSON.parse(text) as { text?: unknown; imports?: unknown };
    if (typeof bundle.text === 'string' && typeof bundle.imports === 'object' && bundle.imports !== null)
      return { text: bundle.text, imports: bundle.imports as Record<string, string> };
  } catch {
    // Said below.
  }
  throw new MillraceError('invalid', 'The Protobuf schema begins with "{", and is no .proto source', {
    code: 'protobuf-schema',
  });
}
