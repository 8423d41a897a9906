import { corrupt } from './corrupt.ts';
import type { FileNode, LeafNode } from './file-schema.ts';
import type { LeafRows } from './leaf-rows.ts';

/** Two leaves, one behind the other, of one struct, list or map; up to its levels they must be the same. */
export interface Neighbours {
  first: LeafNode;
  second: LeafNode;
  definition: number;
  repetition: number;
}

/** The neighbours among the leaves of these nodes: when each pair agrees, all leaves do. */
export function neighboursOf(nodes: readonly FileNode[]): Neighbours[] {
  const found: Neighbours[] = [];
  let last: LeafNode | undefined;

  const visit = (node: FileNode, common: { definition: number; repetition: number } | undefined): void => {
    const { definition, repetition } = node;
    switch (node.kind) {
      case 'leaf':
        if (common !== undefined) found.push({ first: last!, second: node, ...common });
        last = node;
        break;
      case 'struct':
        for (const [i, field] of node.fields.entries()) visit(field, i === 0 ? common : { definition, repetition });
        break;
      case 'list':
        visit(node.element, common);
        break;
      case 'map':
        visit(node.key, common);
        visit(node.value, { definition: definition + 1, repetition: repetition + 1 });
    }
  };
  for (const node of nodes) visit(node, undefined);
  return found;
}

/** Throws `corrupt` when leaves of one struct, list or map tell different things of it. */
export function checkNeighbours(neighbours: readonly Neighbours[], rows: Map<LeafNode, LeafRows>): void {
  for (const pair of neighbours) {
    if (!agree(rows.get(pair.first)!, rows.get(pair.second)!, pair))
      throw corrupt(
        `the levels of columns "${pair.first.name}" and "${pair.second.name}", of one group, contradict each other`,
      );
  }
}

function agree(a: LeafRows, b: LeafRows, { definition, repetition }: Neighbours): boolean {
  if (a.count === b.count && same(a.repetition, b.repetition) && same(a.definition, b.definition)) return true;
  let i = 0;
  let k = 0;
  for (;;) {
    while (i < a.count && a.repetition !== undefined && a.repetition[i]! > repetition) i++;
    while (k < b.count && b.repetition !== undefined && b.repetition[k]! > repetition) k++;
    if (i >= a.count || k >= b.count) return i >= a.count && k >= b.count;
    const repeats = a.repetition === undefined ? 0 : a.repetition[i]!;
    if (repeats !== (b.repetition === undefined ? 0 : b.repetition[k]!)) return false;
    const first = a.definition === undefined ? definition : Math.min(a.definition[i]!, definition);
    const second = b.definition === undefined ? definition : Math.min(b.definition[k]!, definition);
    if (first !== second) return false;
    i++;
    k++;
  }
}

const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
