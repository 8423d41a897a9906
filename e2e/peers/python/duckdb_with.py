"""DuckDB with extensions that came as Python packages: nothing is downloaded when a test runs."""

import glob
import importlib.util
import os

import duckdb


def connect(*extensions):
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true", "threads": "2"})
    connection.execute("SET TimeZone = 'UTC'")
    for extension in extensions:
        folder = importlib.util.find_spec(f"duckdb_extension_{extension}").submodule_search_locations[0]
        (path,) = glob.glob(os.path.join(folder, "**", f"{extension}.duckdb_extension"), recursive=True)
        connection.execute(f"LOAD '{path}'")
    return connection
