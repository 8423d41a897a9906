/**
 * An Avro schema (specification 1.12, "Schema Declaration") with every name resolved: a named type that is used again
 * is the same object, so a recursive schema is a cyclic graph.
 */
export type AvroType = AvroPrimitive | AvroRecord | AvroEnum | AvroFixed | AvroArray | AvroMap | AvroUnion;

export interface AvroPrimitive {
  kind: 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string';
  logical?: AvroLogical;
}

export type AvroLogical =
  | { kind: 'decimal'; precision: number; scale: number }
  | {
      kind:
        | 'uuid'
        | 'date'
        | 'time-millis'
        | 'time-micros'
        | 'timestamp-millis'
        | 'timestamp-micros'
        | 'timestamp-nanos'
        | 'local-timestamp-millis'
        | 'local-timestamp-micros'
        | 'local-timestamp-nanos'
        | 'duration';
    };

interface Named {
  /** With its namespace: "com.example.Order". */
  fullName: string;
  doc?: string;
  aliases?: string[];
}

export interface AvroRecord extends Named {
  kind: 'record';
  fields: AvroField[];
}

export interface AvroField {
  name: string;
  type: AvroType;
  doc?: string;
  aliases?: string[];
  /** As it stands in the schema's JSON (bytes and fixed as a string of code points 0 to 255). Absent = none. */
  default?: unknown;
}

export interface AvroEnum extends Named {
  kind: 'enum';
  symbols: string[];
  default?: string;
}

export interface AvroFixed extends Named {
  kind: 'fixed';
  size: number;
  logical?: AvroLogical;
}

export interface AvroArray {
  kind: 'array';
  items: AvroType;
}

export interface AvroMap {
  kind: 'map';
  values: AvroType;
}

export interface AvroUnion {
  kind: 'union';
  branches: AvroType[];
}

/** The last part of a full name. */
export const shortName = (fullName: string): string => fullName.slice(fullName.lastIndexOf('.') + 1);

/** What a union's branch is called: the full name of a named type, else the kind. No two branches may share it. */
export const branchName = (type: AvroType): string => ('fullName' in type ? type.fullName : type.kind);

/**
 * One self-contained schema text: each named type is written out where it first appears, with its full name, and named
 * after that. Parsing it gives the same graph; schemas that had references need none any more.
 */
export function formatAvroSchema(type: AvroType): string {
  const written = new Set<string>();
  const format = (t: AvroType): unknown => {
    switch (t.kind) {
      case 'union':
        return t.branches.map(format);
      case 'array':
        return { type: 'array', items: format(t.items) };
      case 'map':
        return { type: 'map', values: format(t.values) };
      case 'record':
      case 'enum':
      case 'fixed':
        if (written.has(t.fullName)) return t.fullName;
        written.add(t.fullName);
        return { type: t.kind, ...formatNamed(t), ...formatBody(t) };
      default:
        return t.logical ? { type: t.kind, ...formatLogical(t.logical) } : t.kind;
    }
  };
  const formatBody = (t: AvroRecord | AvroEnum | AvroFixed): object => {
    if (t.kind === 'fixed') return { size: t.size, ...(t.logical ? formatLogical(t.logical) : {}) };
    if (t.kind === 'enum') return { symbols: t.symbols, ...(t.default === undefined ? {} : { default: t.default }) };
    return {
      fields: t.fields.map((field) => ({
        name: field.name,
        ...formatNotes(field),
        type: format(field.type),
        ...(field.default === undefined ? {} : { default: field.default }),
      })),
    };
  };
  return JSON.stringify(format(type));
}

const formatNotes = (item: { doc?: string; aliases?: string[] }): object => ({
  ...(item.doc === undefined ? {} : { doc: item.doc }),
  ...(item.aliases === undefined ? {} : { aliases: item.aliases }),
});

// An empty namespace is written out, lest the name be put into the namespace around it.
const formatNamed = (item: Named): object => {
  const name = shortName(item.fullName);
  return {
    name,
    namespace: item.fullName.slice(0, Math.max(0, item.fullName.length - name.length - 1)),
    ...formatNotes(item),
  };
};

const formatLogical = (logical: AvroLogical): object =>
  logical.kind === 'decimal'
    ? { logicalType: 'decimal', precision: logical.precision, scale: logical.scale }
    : { logicalType: logical.kind };
