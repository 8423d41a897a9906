"""
The canonical rows of a table, by DuckDB:
  read_duckdb.py catalog URI NAMESPACE.TABLE OUT     Iceberg through a REST catalog
  read_duckdb.py metadata FILE OUT                   Iceberg from a metadata file
  read_duckdb.py delta LOCATION OUT                  Delta
  read_duckdb.py parquet FILE OUT                    one Parquet file
"""

import json
import sys

import canonical
from duckdb_with import connect


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def literal(text):
    return "'" + text.replace("'", "''") + "'"


how, where, *rest = sys.argv[1:]
out = rest[-1]
if how == "catalog":
    connection = connect("avro", "httpfs", "iceberg")
    connection.execute(f"ATTACH '' AS lake (TYPE iceberg, ENDPOINT {literal(where)}, AUTHORIZATION_TYPE 'none')")
    namespace, name = rest[0].split(".", 1)
    source = f"lake.{quoted(namespace)}.{quoted(name)}"
elif how == "metadata":
    connection = connect("avro", "iceberg")
    source = f"iceberg_scan({literal(where)})"
elif how == "delta":
    connection = connect("delta")
    source = f"delta_scan({literal(where)})"
else:
    connection = connect()
    source = f"read_parquet({literal(where)})"
reader = connection.execute(f"SELECT * FROM {source}").to_arrow_reader(10_000)
print(json.dumps({"rows": canonical.write(canonical.from_arrow(reader), out)}))
