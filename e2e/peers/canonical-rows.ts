import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

interface Position {
  partition: number;
  offset: number;
}

const lines = (path: string) =>
  createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY })[
    Symbol.asyncIterator
  ]();

const positionOf = (line: string): Position => JSON.parse(line)._kafka;

const text = ({ partition, offset }: Position) => `partition ${partition}, offset ${offset}`;

/** Numbers stay as they are written: a long has more digits than a double. */
const parseExactly = (line: string): Record<string, unknown> =>
  JSON.parse(line, (_key, value, context?: { source: string }) =>
    typeof value === 'number' ? `${context!.source}#` : value,
  );

/** Where two rows differ: "column customer.address.city: expected …, found …". */
function difference(expected: unknown, found: unknown, path: string): string | undefined {
  if (Object.is(expected, found)) return undefined;
  const bothObjects = typeof expected === 'object' && typeof found === 'object' && expected !== null && found !== null;
  if (bothObjects && Array.isArray(expected) === Array.isArray(found)) {
    const keys = new Set([...Object.keys(expected), ...Object.keys(found)]);
    for (const key of keys) {
      const at = path === '' ? key : `${path}.${key}`;
      const inner = difference((expected as never)[key], (found as never)[key], at);
      if (inner !== undefined) return inner;
    }
    return undefined;
  }
  const show = (value: unknown) => (value === undefined ? 'no such column' : JSON.stringify(value));
  return `column ${path}: expected ${show(expected)}, found ${show(found)}`;
}

/**
 * Compares two files of canonical rows, row by row, both sorted by (partition, offset). Throws at the first difference,
 * with table, partition, offset and column. `before`: of what is expected, only offsets below this in each partition.
 * Answers with the number of rows and their SHA-256.
 */
export async function expectSameRows(
  what: string,
  expectedPath: string,
  foundPath: string,
  options: { before?: Record<number, number> } = {},
): Promise<{ rows: number; sha256: string }> {
  const expectedLines = lines(expectedPath);
  const foundLines = lines(foundPath);
  const hash = createHash('sha256');
  for (let rows = 0; ; rows++) {
    let expected = (await expectedLines.next()).value as string | undefined;
    while (options.before !== undefined && expected !== undefined) {
      const { partition, offset } = positionOf(expected);
      if (offset < (options.before[partition] ?? 0)) break;
      expected = (await expectedLines.next()).value as string | undefined;
    }
    const found = (await foundLines.next()).value as string | undefined;
    if (expected === undefined && found === undefined) return { rows, sha256: hash.digest('hex') };
    if (expected !== found) throw new Error(`${what}: ${firstDifference(expected, found)} (after ${rows} equal rows)`);
    hash.update(found!).update('\n');
  }
}

function firstDifference(expected: string | undefined, found: string | undefined): string {
  if (expected === undefined) return `${text(positionOf(found!))} should not be there, or is there twice`;
  if (found === undefined) return `${text(positionOf(expected))} is missing`;
  const [due, is] = [positionOf(expected), positionOf(found)];
  const order = due.partition - is.partition || due.offset - is.offset;
  if (order < 0) return `${text(due)} is missing`;
  if (order > 0) return `${text(is)} should not be there, or is there twice`;
  return `${text(due)}: ${difference(parseExactly(expected), parseExactly(found), '') ?? 'the lines differ in form'}`;
}
