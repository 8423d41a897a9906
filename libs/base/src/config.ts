import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { MillraceError } from './errors.ts';
import { keepSecret } from './secrets.ts';

/**
 * Reads a service's configuration: a YAML file (path in `<PREFIX>_CONFIG`, or given), over it the environment, checked
 * by a zod object. Environment names are the prefix and the key in upper snake case: prefix MILLRACE_CONVERTER and key
 * rowGroupBytes give MILLRACE_CONVERTER_ROW_GROUP_BYTES; nested objects join with "_". Values of other types than
 * string are read as YAML ("60000", "true", "[a, b]"). A text may also stand in a file that a variable of the same name
 * with _FILE names, as secrets that a cluster mounts do; white space around it does not count.
 *
 * Every key has a description with its unit (`.describe`). An unknown or illegal key is an `invalid` error that names
 * where it came from, the key and the legal values.
 */
export function loadConfig<S extends z.ZodObject>(
  schema: S,
  prefix: string,
  env: Record<string, string | undefined> = process.env,
  file: string | undefined = env[`${prefix}_CONFIG`],
): z.infer<S> {
  const values: Record<string, unknown> = file === undefined ? {} : readYaml(file);
  const sources = new Map<string, string>();
  const where = (path: string) => sources.get(path) ?? (file === undefined ? 'the defaults' : file);
  const known = new Set<string>([`${prefix}_CONFIG`]);
  for (const { path, leaf } of leaves(schema)) {
    const name = envName(prefix, path);
    known.add(name);
    let text = env[name];
    let source = `environment variable ${name}`;
    if (isStringLike(leaf) && env[`${name}_FILE`] !== undefined && !known.has(`${name}_FILE`)) {
      known.add(`${name}_FILE`);
      if (text !== undefined) {
        throw new MillraceError('invalid', `${name} and ${name}_FILE are both set: leave one out`, {
          code: 'config-twice',
          context: { key: path.join('.') },
        });
      }
      source = `the file that ${name}_FILE names`;
      text = readText(env[`${name}_FILE`]!, source).trim();
    }
    if (text === undefined) continue;
    sources.set(path.join('.'), source);
    setPath(values, path, isStringLike(leaf) ? text : yamlOf(text, source));
  }
  for (const name of Object.keys(env)) {
    if (name.startsWith(prefix + '_') && !known.has(name)) {
      throw new MillraceError(
        'invalid',
        `environment variable ${name} is not a setting; legal ones: ${[...known].sort().join(', ')}`,
        { code: 'config-unknown-key', context: { key: name } },
      );
    }
  }
  const result = strict(schema).safeParse(values);
  for (const { path, leaf } of leaves(schema)) {
    const value = valueAt(values, path);
    // Of settings only URLs hold secrets in themselves.
    if (isStringLike(leaf) && typeof value === 'string' && value.includes('://')) keepSecret(value);
  }
  if (result.success) return result.data as z.infer<S>;
  const messages = result.error.issues.map((issue) => {
    const path = issue.path.map(String).join('.');
    if (issue.code === 'unrecognized_keys') {
      const parent = path === '' ? '' : path + '.';
      const legal = leaves(schema)
        .map((l) => l.path.join('.'))
        .filter((l) => l.startsWith(parent));
      return `${where(path)}: unknown key ${issue.keys.map((k) => parent + k).join(', ')}; legal keys: ${legal.join(', ')}`;
    }
    const found = leaves(schema).find((l) => l.path.join('.') === path);
    const about = found === undefined ? '' : ` (${descriptionOf(found.leaf)})`;
    if (found !== undefined && !sources.has(path) && valueAt(values, found.path) === undefined) {
      const places = `as ${path} in ${file ?? `a YAML file named by ${prefix}_CONFIG`}, or as ${envName(prefix, found.path)}`;
      return `${path} is not set: give it ${places}${about}`;
    }
    return `${where(path)}: ${path}: ${issue.message}${about}`;
  });
  throw new MillraceError('invalid', messages.join('\n'), {
    code: 'config-invalid',
    context: { key: result.error.issues[0]!.path.map(String).join('.') },
  });
}

/** One line for every key: name in the file, environment variable, default, description. For `--help` and the docs. */
export function describeConfig(schema: z.ZodObject, prefix: string): string[] {
  return leaves(schema).map(({ path, leaf }) => {
    const fallback = leaf.safeParse(undefined);
    const shown = fallback.success && fallback.data !== undefined ? JSON.stringify(fallback.data) : 'required';
    return `${path.join('.')} | ${envName(prefix, path)} | ${fallback.success && fallback.data === undefined ? 'unset' : shown} | ${descriptionOf(leaf)}`;
  });
}

function readYaml(file: string): Record<string, unknown> {
  const value = yamlOf(readText(file, 'configuration file'), file) ?? {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new MillraceError('invalid', `${file} must hold a mapping of keys to values`, { code: 'config-invalid' });
  }
  return value as Record<string, unknown>;
}

function readText(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new MillraceError('invalid', `${what} ${file} can't be read: ${(error as Error).message}`, {
      code: 'config-unreadable',
      cause: error,
    });
  }
}

function yamlOf(text: string, source: string): unknown {
  try {
    // Not "pretty": that would show the line, which may hold a secret.
    return parseYaml(text, { prettyErrors: false });
  } catch (error) {
    throw new MillraceError('invalid', `${source} is not YAML: ${placeOf(error, text)}${(error as Error).message}`, {
      code: 'config-invalid',
    });
  }
}

function placeOf(error: unknown, text: string): string {
  const { pos } = error as { pos?: [number, number] };
  return pos === undefined ? '' : `line ${text.slice(0, pos[0]).split('\n').length}: `;
}

interface Leaf {
  path: string[];
  leaf: z.ZodType;
}

function unwrap(type: z.ZodType): z.ZodType {
  let inner = type;
  while (
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodNullable ||
    inner instanceof z.ZodPrefault
  ) {
    inner = inner.unwrap() as z.ZodType;
  }
  return inner;
}

function leaves(schema: z.ZodObject, parents: string[] = []): Leaf[] {
  return Object.entries(schema.shape).flatMap(([key, type]) => {
    const inner = unwrap(type as z.ZodType);
    const path = [...parents, key];
    return inner instanceof z.ZodObject ? leaves(inner, path) : [{ path, leaf: type as z.ZodType }];
  });
}

/** Unknown keys are errors at every depth. */
function strict(schema: z.ZodObject): z.ZodType {
  const shape: Record<string, z.ZodType> = {};
  for (const [key, type] of Object.entries(schema.shape)) {
    const inner = unwrap(type as z.ZodType);
    shape[key] = inner instanceof z.ZodObject ? strict(inner).prefault({}) : (type as z.ZodType);
  }
  return z.strictObject(shape);
}

/** Also of a type that was described before it got its default. */
const descriptionOf = (type: z.ZodType): string => type.description ?? unwrap(type).description ?? '';

const isStringLike = (type: z.ZodType): boolean => {
  const inner = unwrap(type);
  return inner instanceof z.ZodString || inner instanceof z.ZodEnum || inner instanceof z.ZodLiteral;
};

const envName = (prefix: string, path: string[]): string =>
  [prefix, ...path.map((part) => part.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase())].join('_');

const valueAt = (values: unknown, path: string[]): unknown =>
  path.reduce<unknown>((node, part) => (node as Record<string, unknown> | undefined | null)?.[part], values);

function setPath(target: Record<string, unknown>, path: string[], value: unknown): void {
  let node = target;
  for (const part of path.slice(0, -1)) {
    node[part] ??= {};
    node = node[part] as Record<string, unknown>;
  }
  node[path.at(-1)!] = value;
}
