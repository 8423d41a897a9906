import type { ColumnRef, Plan, Step } from './avro-step.ts';

/**
 * A piece of a record: what one function decodes for all records before the next piece has its turn. A function for a
 * whole wide record is never optimised, or late; one that calls others has its arrays in variables that all of them share,
 * which costs half the speed.
 */
export interface Piece {
  parts: Part[];
  /** The columns that its code names. */
  columns: ColumnRef[];
}

interface Part {
  step: Step;
  /** The struct that it lies in: nothing is to be read where that is null. */
  within: ColumnRef | undefined;
}

/** The plan's root in pieces of up to `most` columns; a single field that has more is a piece of its own. */
export function piecesOf(plan: Plan, most: number): Piece[] {
  const all = columnsOf(plan, plan.root, undefined);
  if (all.size <= most) return [{ parts: [{ step: plan.root, within: undefined }], columns: [...all] }];
  const pieces: { parts: Part[]; columns: Set<ColumnRef> }[] = [];
  for (const part of partsOf(plan.root, undefined)) {
    const columns = columnsOf(plan, part.step, part.within);
    const last = pieces.at(-1);
    if (last !== undefined && last.columns.union(columns).size <= most) {
      last.parts.push(part);
      last.columns = last.columns.union(columns);
    } else pieces.push({ parts: [part], columns });
  }
  return pieces.map(({ parts, columns }) => ({ parts, columns: [...columns] }));
}

// A record, and a record or null, is taken apart: its own part is only the branch, its fields are parts for themselves.
function partsOf(step: Step, within: ColumnRef | undefined): Part[] {
  if (step.kind === 'record') {
    const fields = step.fields.flatMap((field) => partsOf(field.step, within));
    return step.absent.length === 0 ? fields : [...fields, { step: { ...step, fields: [] }, within }];
  }
  const struct = step.kind === 'union' ? nullableStruct(step) : undefined;
  if (step.kind !== 'union' || struct === undefined) return [{ step, within }];
  const nothing: Step = { kind: 'record', fields: [], absent: [] };
  const branches = step.branches.map((branch) =>
    branch.step.kind === 'record' ? { ...branch, step: nothing } : branch,
  );
  const record = step.branches.find((branch) => branch.step.kind === 'record')!;
  return [{ step: { kind: 'union', branches }, within }, ...partsOf(record.step, struct)];
}

/** The column of a union of null and a record. */
function nullableStruct({ branches }: Step & { kind: 'union' }): ColumnRef | undefined {
  const record = branches.find(({ step }) => step.kind === 'record');
  const other = branches.find((branch) => branch !== record);
  const column = other?.nulls[0];
  if (branches.length !== 2 || record?.nulls.length !== 0 || other?.nulls.length !== 1) return undefined;
  return column?.type.kind === 'struct' && other.step.kind === 'skip' ? column : undefined;
}

/** The columns of a step; with all below it of one that may become null, or repeats. */
function columnsOf(plan: Plan, step: Step, within: ColumnRef | undefined): Set<ColumnRef> {
  const found = new Set<ColumnRef>(within === undefined ? [] : [within]);
  const withBelow = (column: ColumnRef) => {
    for (const other of plan.columns) if (column.path.every((at, i) => at === other.path[i])) found.add(other);
  };
  const visit = (inner: Step): void => {
    if ('column' in inner) found.add(inner.column);
    switch (inner.kind) {
      case 'duration':
        for (const part of inner.parts) found.add(part);
        return;
      case 'record':
        for (const field of inner.fields) visit(field.step);
        for (const { column } of inner.absent) withBelow(column);
        return;
      case 'list':
      case 'map':
        withBelow(inner.column);
        visit(inner.kind === 'list' ? inner.item : inner.value);
        return;
      case 'union':
        for (const branch of inner.branches) {
          branch.nulls.forEach(withBelow);
          visit(branch.step);
        }
    }
  };
  visit(step);
  return found;
}
