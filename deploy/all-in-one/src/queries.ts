import type { TableReport } from '@millrace/cli';

/** Lines that one can paste to query a table from DuckDB, PyIceberg and Spark. */
export function queryLines(catalogUri: string, { table, iceberg, delta }: TableReport): string {
  const { namespace, name } = table.table!;
  const location = table.location.replace(/^file:\/\//, '');
  const lines: string[] = [];
  if (iceberg?.exists) {
    lines.push(
      'DuckDB',
      '  INSTALL iceberg; LOAD iceberg;',
      `  ATTACH 'warehouse' AS lake (TYPE iceberg, ENDPOINT '${catalogUri}', AUTHORIZATION_TYPE 'none');`,
      `  SELECT count(*) FROM lake.${namespace}.${name};`,
      'PyIceberg',
      '  from pyiceberg.catalog import load_catalog',
      `  load_catalog('lake', type='rest', uri='${catalogUri}').load_table('${namespace}.${name}').scan().to_arrow()`,
      'Spark',
      '  spark-sql --packages org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0 \\',
      '    --conf spark.sql.catalog.lake=org.apache.iceberg.spark.SparkCatalog \\',
      `    --conf spark.sql.catalog.lake.type=rest --conf spark.sql.catalog.lake.uri=${catalogUri} \\`,
      `    -e 'SELECT count(*) FROM lake.${namespace}.${name}'`,
    );
  }
  if (delta?.exists) {
    lines.push(
      'DuckDB, the Delta table',
      '  INSTALL delta; LOAD delta;',
      `  SELECT count(*) FROM delta_scan('${location}');`,
    );
  }
  return lines.join('\n');
}
