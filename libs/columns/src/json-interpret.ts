import { JsonMisfit, type JsonScalar, jsonSingleValue, type PrimitiveType } from '@millrace/schema';
import type { Absent } from './avro-step.ts';
import { BadRecord } from './avro-value.ts';
import { type Column, reserve, setBytes, setNull } from './column.ts';
import type { JsonBranchStep, JsonObjectStep, JsonPlan, JsonStep } from './json-step.ts';
import { type JsonTree, readJsonTree, within } from './json-tree.ts';
import { storeDefault, storeValue } from './store.ts';

/**
 * Follows a plan plainly: reads the whole value into a tree, then puts it into row n of the columns, for which room is
 * there. The oracle of the generated decoders, what runs where code generation is forbidden, and what decides about each
 * record that generated code does not like: throws BadRecord with the field's path.
 */
export function interpretJson(
  plan: JsonPlan,
  columns: readonly Column[],
  bytes: Uint8Array,
  start: number,
  length: number,
  n: number,
): void {
  const tree = readJsonTree(bytes, start, length);
  if (tree.kind === 'null') {
    for (const { index } of plan.top) setNull(columns[index]!, n);
    return;
  }
  store(plan.root, { columns, bytes }, tree, n);
  storeAbsent(plan.absent, columns, n);
}

interface Target {
  columns: readonly Column[];
  bytes: Uint8Array;
}

function store(step: JsonStep, target: Target, tree: JsonTree, n: number): void {
  const { columns } = target;
  const column = step.column && columns[step.column.index]!;
  if (tree.kind === 'null') {
    if (column) setNull(column, n);
    return;
  }
  switch (step.kind) {
    case 'text':
      if (column) setBytes(column, n, target.bytes.subarray(tree.start, tree.end));
      return;
    case 'leaf':
      storeValue(column!, n, leafValue(step, tree));
      return;
    case 'object':
      storeObject(step, target, tree, n);
      return;
    case 'list': {
      if (tree.kind !== 'array') throw wrong(tree, 'an array');
      const at = grow(column!, tree.items.length, n);
      for (const [i, item] of tree.items.entries()) within('element', () => store(step.item, target, item, at + i));
      return;
    }
    case 'map': {
      if (tree.kind !== 'object') throw wrong(tree, 'an object');
      const at = grow(column!, tree.members.size, n);
      for (const [i, [key, value]] of [...tree.members].entries()) {
        within('key', () => storeValue(columns[step.key.index]!, at + i, wellFormed(key)));
        within('value', () => store(step.value, target, value, at + i));
      }
      return;
    }
    case 'union': {
      if (tree.kind !== 'object') throw wrong(tree, 'an object');
      const matching = step.branches.filter((branch) => matches(branch, tree.members));
      if (matching.length === 0)
        throw new BadRecord(`the object is none of ${step.branches.map(({ name }) => name).join(', ')}`);
      for (const branch of step.branches) {
        if (branch.object === undefined) continue;
        const { object, name } = branch;
        if (!matching.includes(branch)) setNull(columns[object.column.index]!, n);
        else within(name, () => storeObject(object, target, tree, n));
      }
      storeAbsent(step.absent, columns, n);
    }
  }
}

function storeObject(step: JsonObjectStep, target: Target, tree: JsonTree, n: number): void {
  if (tree.kind !== 'object') throw wrong(tree, 'an object');
  for (const { name, column, step: inner, default: fallback } of step.fields) {
    const member = tree.members.get(name);
    if (member === undefined) storeDefault(target.columns[column.index]!, n, fallback);
    else within(name, () => store(inner, target, member, n));
  }
  storeAbsent(step.absent, target.columns, n);
}

function storeAbsent(absent: readonly Absent[], columns: readonly Column[], n: number): void {
  for (const { column, json } of absent) storeDefault(columns[column.index]!, n, json);
}

function grow(column: Column, count: number, n: number): number {
  const domain = column.childDomain!;
  reserve(domain, count);
  const start = domain.length;
  domain.length += count;
  column.lengths[n] = count;
  return start;
}

function leafValue(step: JsonStep & { kind: 'leaf' }, tree: JsonTree) {
  try {
    return jsonSingleValue(step.leaf, step.column.type as PrimitiveType, scalarOf(tree, step.leaf.kind));
  } catch (error) {
    throw error instanceof JsonMisfit ? new BadRecord(error.message) : error;
  }
}

function scalarOf(tree: JsonTree, wanted: string): JsonScalar {
  switch (tree.kind) {
    case 'true':
    case 'false':
      return tree.kind === 'true';
    case 'number':
      return { number: tree.text };
    case 'string':
      return { string: wellFormed(tree.text) };
    default:
      throw wrong(tree, wanted === 'boolean' || wanted === 'string' ? `a ${wanted}` : 'a number');
  }
}

// UTF-8 has no half of a surrogate pair, and nothing is replaced silently.
function wellFormed(text: string): string {
  if (/\p{Surrogate}/u.test(text)) throw new BadRecord('a string has one half of a surrogate pair in it');
  return text;
}

function matches({ property, values }: JsonBranchStep, members: ReadonlyMap<string, JsonTree>): boolean {
  const member = members.get(property);
  if (member === undefined || values === undefined) return member !== undefined;
  switch (member.kind) {
    case 'string':
      return values.includes(member.text);
    case 'number':
      return values.includes(Number(member.text));
    default:
      return values.some((value) => String(value) === member.kind && typeof value === 'boolean');
  }
}

const wrong = ({ kind }: JsonTree, wanted: string): BadRecord => {
  const article = kind === 'array' || kind === 'object' ? 'an ' : kind === 'number' || kind === 'string' ? 'a ' : '';
  return new BadRecord(`${article}${kind} stands where ${wanted} must be`);
};
