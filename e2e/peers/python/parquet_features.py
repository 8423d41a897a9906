"""
What pyarrow and DuckDB see in one Parquet file, as JSON: parquet_features.py FILE COLUMN VALUE…

Of every row group the sorting columns and each column's encodings (pyarrow); which of the values its Bloom filter rules
out in COLUMN (DuckDB); the types of the columns (both), and the texts of the variants (DuckDB).
"""

import json
import sys

import pyarrow.parquet as pq

from duckdb_with import connect

file, column, *values = sys.argv[1:]
connection = connect()
metadata = pq.ParquetFile(file).metadata
groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]


def rows(sql, *parameters):
    return connection.execute(sql, parameters).fetchall()


kind = dict((name, type) for name, type, *_ in rows("DESCRIBE SELECT * FROM read_parquet(?)", file))[column]
excluded = {
    value: [row[0] for row in rows(f"SELECT bloom_filter_excludes FROM parquet_bloom_probe('{file}', '{column}', ?::{kind}) ORDER BY row_group_id", value)]
    for value in values
}
variants = [name for name, type, *_ in rows("DESCRIBE SELECT * FROM read_parquet(?)", file) if type == "VARIANT"]
try:
    checksums = pq.read_table(file, columns=[column], page_checksum_verification=True).num_rows
except OSError as error:
    checksums = str(error)
print(
    json.dumps(
        {
            "createdBy": metadata.created_by,
            "sorting": [[[c.column_index, c.descending, c.nulls_first] for c in group.sorting_columns] for group in groups],
            "encodings": {
                group.column(at).path_in_schema: sorted(group.column(at).encodings)
                for group in groups[:1]
                for at in range(metadata.num_columns)
            },
            "excluded": excluded,
            "checksums": checksums,
            "arrow": {field.name: str(field.type) for field in pq.read_schema(file)},
            "duckdb": {name: type for name, type, *_ in rows("DESCRIBE SELECT * FROM read_parquet(?)", file)},
            "variants": {
                name: [row[0] for row in rows(f'SELECT "{name}"::JSON::VARCHAR FROM read_parquet(?)', file)] for name in variants
            },
        }
    )
)
