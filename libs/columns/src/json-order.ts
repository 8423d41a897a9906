import { BadRecord } from './avro-value.ts';
import type { JsonObjectStep, JsonPlan, JsonStep } from './json-step.ts';
import { type JsonTree, readJsonTree } from './json-tree.ts';

const SAMPLES = 16;
const MAX_SAMPLE_BYTES = 65_536;

/**
 * The plan with the properties of each object in the order in which the first records have them: what is expected next is
 * found fastest, and writers keep an order of their own, not the schema's. It makes no other difference.
 */
export function arrangeJson(
  plan: JsonPlan,
  bytes: Uint8Array,
  starts: Int32Array,
  lengths: Int32Array,
  skip: number,
  from: number,
  to: number,
): JsonPlan {
  const trees: JsonTree[] = [];
  for (let i = from; i < to && trees.length < SAMPLES; i++) {
    const length = lengths[i]! - skip;
    if (length <= 0 || length > MAX_SAMPLE_BYTES) continue;
    try {
      trees.push(readJsonTree(bytes, starts[i]! + skip, length));
    } catch (error) {
      // What is no JSON has no order either.
      if (!(error instanceof BadRecord)) throw error;
    }
  }
  return { ...plan, root: arrange(plan.root, trees) };
}

function arrange(step: JsonStep, trees: JsonTree[]): JsonStep {
  switch (step.kind) {
    case 'object':
      return arrangeObject(step, trees);
    case 'list':
      return {
        ...step,
        item: arrange(
          step.item,
          trees.flatMap((tree) => (tree.kind === 'array' ? tree.items : [])),
        ),
      };
    case 'map':
      return {
        ...step,
        value: arrange(
          step.value,
          membersOf(trees).flatMap((members) => [...members.values()]),
        ),
      };
    case 'union':
      return {
        ...step,
        branches: step.branches.map((branch) =>
          branch.object === undefined ? branch : { ...branch, object: arrangeObject(branch.object, trees) },
        ),
      };
    default:
      return step;
  }
}

function arrangeObject<T extends JsonObjectStep>(step: T, trees: JsonTree[]): T {
  const objects = membersOf(trees);
  const byName = new Map(step.fields.map((field) => [field.name, field]));
  const order: string[] = [];
  const placed = new Set<string>();
  // A name goes behind the one that it stood behind; the schema's order decides where the samples do not.
  for (const names of [...objects.map((members) => members.keys()), byName.keys()]) {
    let before: string | undefined;
    for (const name of names) {
      if (!byName.has(name)) continue;
      if (!placed.has(name)) order.splice(before === undefined ? 0 : order.indexOf(before) + 1, 0, name);
      placed.add(name);
      before = name;
    }
  }
  const fields = order.map((name) => {
    const field = byName.get(name)!;
    return {
      ...field,
      step: arrange(
        field.step,
        objects.flatMap((members) => members.get(name) ?? []),
      ),
    };
  });
  return { ...step, fields };
}

const membersOf = (trees: JsonTree[]): ReadonlyMap<string, JsonTree>[] =>
  trees.flatMap((tree) => (tree.kind === 'object' ? [tree.members] : []));
