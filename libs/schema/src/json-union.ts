import type { JsonDocuments } from './json-documents.ts';
import { factsOf, type JsonFacts } from './json-facts.ts';
import type { JsonBranch, JsonObject, JsonUnion } from './json-schema.ts';

type Scalar = string | number | boolean;

// Decoders keep the branches that a value fits as bits of one number.
const MAX_BRANCHES = 30;

/**
 * A union, where its objects can be told apart: by a property that has other constants in each, or by one that each
 * requires and no other knows. Otherwise undefined.
 */
export function tellApart(
  documents: JsonDocuments,
  branches: readonly JsonFacts[],
  objects: readonly JsonObject[],
): JsonUnion | undefined {
  if (branches.length > MAX_BRANCHES) return undefined;
  const marks = byConstant(documents, branches) ?? byPresence(branches);
  if (marks === undefined) return undefined;
  const taken = new Set<string>();
  return {
    kind: 'union',
    branches: marks.map((mark, at): JsonBranch => {
      const facts = branches[at]!;
      const [value] = mark.values ?? [];
      const wanted = facts.reference ?? facts.title ?? (value === undefined ? mark.property : String(value));
      return { name: unique(wanted, taken), object: objects[at]!, ...mark };
    }),
  };
}

type Mark = Pick<JsonBranch, 'property' | 'values'>;

function byConstant(documents: JsonDocuments, branches: readonly JsonFacts[]): Mark[] | undefined {
  for (const property of branches[0]!.properties.keys()) {
    const values = branches.map((facts) => constantsOf(documents, facts, property));
    if (values.some((list) => list === undefined)) continue;
    const all = values.flatMap((list) => list!.map((value) => JSON.stringify(value)));
    if (new Set(all).size === all.length) return values.map((list) => ({ property, values: list! }));
  }
  return undefined;
}

function constantsOf(documents: JsonDocuments, facts: JsonFacts, property: string): Scalar[] | undefined {
  const nodes = facts.properties.get(property);
  const values = nodes && factsOf(documents, nodes, nodes[0]!.place).values;
  const isScalar = (value: unknown): value is Scalar =>
    typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value);
  return values?.every(isScalar) ? values : undefined;
}

function byPresence(branches: readonly JsonFacts[]): Mark[] | undefined {
  const marks = branches.map((facts) =>
    [...facts.required].find(
      (name) => facts.properties.has(name) && branches.every((other) => other === facts || !other.properties.has(name)),
    ),
  );
  return marks.every((name) => name !== undefined) ? marks.map((property) => ({ property: property! })) : undefined;
}

function unique(wanted: string, taken: Set<string>): string {
  const plain = wanted.replace(/[^\p{L}\p{N}_]+/gu, '_') || 'branch';
  let name = plain;
  for (let i = 2; taken.has(name.toLowerCase()); i++) name = `${plain}_${i}`;
  taken.add(name.toLowerCase());
  return name;
}
