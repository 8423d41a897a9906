import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { MillraceError } from './errors.ts';

/**
 * Reads a service's configuration: a YAML file (path in `<PREFIX>_CONFIG`, or given), over it the environment, checked
 * by a zod object. Environment names are the prefix and the key in upper snake case: prefix MILLRACE_CONVERTER and key
 * rowGroupBytes give MILLRACE_CONVERTER_ROW_GROUP_BYTES; nested objects join with "_". Values of other types than
 * string are read as YAML ("60000", "true", "[a, b]").
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
    const text = env[name];
    if (text === undefined) continue;
    sources.set(path.join('.'), `environment variable ${name}`);
    setPath(values, path, isStringLike(leaf) ? text : parseYaml(text));
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
    if (found !== undefined && !sources.has(path) && !hasPath(values, found.path)) {
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
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new MillraceError('invalid', `configuration file ${file} can't be read: ${(error as Error).message}`, {
      code: 'config-unreadable',
      cause: error,
    });
  }
  let value: unknown;
  try {
    value = parseYaml(text) ?? {};
  } catch (error) {
    throw new MillraceError('invalid', `${file} is not YAML: ${(error as Error).message}`, { code: 'config-invalid' });
  }
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new MillraceError('invalid', `${file} must hold a mapping of keys to values`, { code: 'config-invalid' });
  }
  return value as Record<string, unknown>;
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

const hasPath = (values: unknown, path: string[]): boolean =>
  path.reduce<unknown>((node, part) => (node as Record<string, unknown> | undefined)?.[part], values) !== undefined;

function setPath(target: Record<string, unknown>, path: string[], value: unknown): void {
  let node = target;
  for (const part of path.slice(0, -1)) {
    node[part] ??= {};
    node = node[part] as Record<string, unknown>;
  }
  node[path.at(-1)!] = value;
}
