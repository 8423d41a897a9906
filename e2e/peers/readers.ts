import { runJava } from './java.ts';
import { runPython } from './python.ts';

/** A table as readers are pointed at it. */
export interface TableAddress {
  catalogUri: string;
  namespace: string;
  name: string;
  /** The table's folder. */
  location: string;
}

export interface Reader {
  name: string;
  format: 'iceberg' | 'delta';
  peer: 'python' | 'delta-kernel';
  /** Writes the table's canonical rows to `out`. */
  read(folder: string, table: TableAddress, out: string): Promise<unknown>;
}

const dotted = (table: TableAddress) => `${table.namespace}.${table.name}`;

export const READERS: readonly Reader[] = [
  {
    name: 'PyIceberg',
    format: 'iceberg',
    peer: 'python',
    read: (folder, table, out) => runPython(folder, 'read_pyiceberg.py', [table.catalogUri, dotted(table), out]),
  },
  {
    name: 'DuckDB (Iceberg)',
    format: 'iceberg',
    peer: 'python',
    read: (folder, table, out) =>
      runPython(folder, 'read_duckdb.py', ['catalog', table.catalogUri, dotted(table), out]),
  },
  {
    name: 'DuckDB (Delta)',
    format: 'delta',
    peer: 'python',
    read: (folder, table, out) => runPython(folder, 'read_duckdb.py', ['delta', table.location, out]),
  },
  {
    name: 'deltalake',
    format: 'delta',
    peer: 'python',
    read: (folder, table, out) => runPython(folder, 'read_deltalake.py', [table.location, out]),
  },
  {
    name: 'Delta Kernel',
    format: 'delta',
    peer: 'delta-kernel',
    read: (folder, table, out) => runJava(folder, 'ReadDelta', [table.location, out]),
  },
];
