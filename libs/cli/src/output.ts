import Table from 'cli-table3';

/** How results are shown: tables for people, or one JSON document for programs. */
export interface Output {
  /** Prints rows under headings; in JSON the `json` value instead. */
  table(headings: string[], rows: string[][], json: unknown): void;
  /** Prints "name: value" lines; in JSON the `json` value instead. */
  fields(pairs: [string, string][], json: unknown): void;
  /** A sentence for people; nothing in JSON. */
  say(text: string): void;
}

export function createOutput(asJson: boolean, write: (text: string) => void = console.log): Output {
  if (asJson) {
    const print = (json: unknown) => write(toJson(json));
    return { table: (_headings, _rows, json) => print(json), fields: (_pairs, json) => print(json), say: () => {} };
  }
  return {
    table: (headings, rows) => write(rows.length === 0 ? '(none)' : renderTable(headings, rows)),
    fields(pairs) {
      const width = Math.max(...pairs.map(([name]) => name.length));
      for (const [name, value] of pairs) write(`${name.padEnd(width)}  ${value}`);
    },
    say: write,
  };
}

/** Numbers to the right, thin lines. */
export function renderTable(headings: string[], rows: string[][]): string {
  const table = new Table({
    head: headings,
    style: { head: [], border: [], compact: true },
    colAligns: headings.map((_, column) =>
      rows.length > 0 && rows.every((row) => /^[\d,.\-–]*( [KMGT]?B| s| ms)?$/.test(row[column] ?? ''))
        ? 'right'
        : 'left',
    ),
  });
  table.push(...rows);
  return table.toString();
}

/** protobuf-es messages as plain JSON: no $typeName, 64-bit numbers as numbers where exact, else as strings. */
export function toJson(value: unknown): string {
  return JSON.stringify(
    value,
    (key, item) => {
      if (key === '$typeName' || key === '$unknown') return undefined;
      if (typeof item === 'bigint') return Number.isSafeInteger(Number(item)) ? Number(item) : String(item);
      if (item instanceof Uint8Array) return Buffer.from(item).toString('base64');
      return item;
    },
    2,
  );
}

export const count = (n: bigint | number): string => n.toLocaleString('en-US');

export function bytes(n: bigint | number): string {
  let value = Number(n);
  for (const unit of ['B', 'KB', 'MB', 'GB']) {
    if (value < 1_000) return `${value >= 100 || unit === 'B' ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
    value /= 1_000;
  }
  return `${value.toFixed(1)} TB`;
}

export const time = (ms: bigint | number): string => (Number(ms) === 0 ? '–' : new Date(Number(ms)).toISOString());

/** The name of an enum's value in lower case: "running", "rewrite". */
export const enumName = (names: Record<string, number>, value: number): string =>
  (Object.keys(names).find((name) => names[name] === value) ?? String(value)).toLowerCase().replaceAll('_', '-');
