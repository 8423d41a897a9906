import type { ColumnType, Field } from './table-schema.ts';

/** Gives out the next column id. */
export type NextId = () => number;

/**
 * New ids for all fields, in the order in which Iceberg gives them when it creates a table (TypeUtil.assignFreshIds): all
 * fields of a struct first, then what is nested in each; a list's element, a map's key and value likewise.
 */
export function assignFreshIds(fields: Field[], next: NextId): Field[] {
  const ids = fields.map(() => next());
  return fields.map((field, at) => ({ ...field, id: ids[at]!, type: freshType(field.type, next) }));
}

/** The same type with new ids for everything nested in it. */
export function freshType(type: ColumnType, next: NextId): ColumnType {
  switch (type.kind) {
    case 'struct':
      return { kind: 'struct', fields: assignFreshIds(type.fields, next) };
    case 'list': {
      const elementId = next();
      return { ...type, elementId, element: freshType(type.element, next) };
    }
    case 'map': {
      const keyId = next();
      const valueId = next();
      return { ...type, keyId, valueId, key: freshType(type.key, next), value: freshType(type.value, next) };
    }
    default:
      return type;
  }
}
