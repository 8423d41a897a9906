import { MillraceError } from '@millrace/base';
import type { ColumnType, Field } from '@millrace/schema';
import type { FileNode } from './file-schema.ts';

/**
 * A column of a file: its field id, or its name. Below the top level: names joined by dots, `element`, `key` and `value`
 * inside lists and maps: "items.element.price".
 */
export type ColumnName = number | string;

const childrenOf = (node: FileNode): [string, FileNode][] => {
  switch (node.kind) {
    case 'leaf':
      return [];
    case 'struct':
      return node.fields.map((field) => [field.name, field]);
    case 'list':
      return [['element', node.element]];
    case 'map':
      return [
        ['key', node.key],
        ['value', node.value],
      ];
  }
};

/** The node that a name means. Throws `invalid` when the file has none. */
export function findNode(fields: FileNode[], column: ColumnName): FileNode {
  const search = (children: [string, FileNode][], rest: ColumnName): FileNode | undefined => {
    for (const [name, node] of children) {
      if (rest === node.id || rest === name) return node;
      const below = typeof rest === 'number' ? rest : rest.startsWith(`${name}.`) && rest.slice(name.length + 1);
      const found = below === false ? undefined : search(childrenOf(node), below);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const found = search(
    fields.map((field) => [field.name, field]),
    column,
  );
  if (found !== undefined) return found;
  const said = typeof column === 'number' ? `with id ${column}` : `"${column}"`;
  throw new MillraceError('invalid', `The file has no column ${said}`, { code: 'parquet-column-missing' });
}

/** The file's fields with nothing but these columns, in the file's order: of structs the fields that are wanted. */
export function project(fields: FileNode[], columns: readonly ColumnName[]): FileNode[] {
  const wanted = new Set(columns.map((column) => findNode(fields, column)));

  const keep = (node: FileNode): FileNode | undefined => {
    if (wanted.has(node)) return node;
    switch (node.kind) {
      case 'leaf':
        return undefined;
      case 'struct': {
        const kept = node.fields.flatMap((field) => keep(field) ?? []);
        if (kept.length === 0) return undefined;
        return { ...node, fields: kept, type: { kind: 'struct', fields: kept.map(fieldOf) } };
      }
      case 'list': {
        const element = keep(node.element);
        return element && { ...node, element, type: { ...node.type, element: element.type } };
      }
      case 'map': {
        // Entries are nothing without their keys.
        const value = keep(node.value) ?? (keep(node.key) && node.value);
        return value && { ...node, value, type: { ...node.type, value: value.type } };
      }
    }
  };

  return fields.flatMap((field) => keep(field) ?? []);
}

export const fieldOf = ({
  id,
  name,
  type,
  required,
}: {
  id: number;
  name: string;
  type: ColumnType;
  required: boolean;
}): Field => ({
  id,
  name,
  type,
  required,
});
