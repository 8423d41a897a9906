"""
What others need for the same work, measured in a process of its own: `measured.py JOB` makes ready, says {"ready":true},
then runs a round for each line that comes and answers with a line of JSON. One thread; CPU seconds of the process.
"""

import json
import os
import sys
import time

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

pa.set_cpu_count(1)
pa.set_io_thread_count(1)
job = json.loads(sys.argv[1])
ROW_GROUP_ROWS = 262_144


def size(paths):
    return sum(os.path.getsize(path) for path in paths)


def dictionaries(path):
    """The columns that have a dictionary in most row groups of a file."""
    metadata = pq.read_metadata(path)
    found = []
    for column in range(metadata.num_columns):
        chunks = [metadata.row_group(group).column(column) for group in range(metadata.num_row_groups)]
        if 2 * sum(chunk.has_dictionary_page for chunk in chunks) > len(chunks):
            found.append(chunks[0].path_in_schema)
    return found


def single():
    connection = duckdb.connect(config={"threads": "1"})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def files_of(paths):
    return "[" + ", ".join("'" + path.replace("'", "''") + "'" for path in paths) + "]"


COPY = f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
PAGES = {"compression": "zstd", "compression_level": 1, "row_group_size": ROW_GROUP_ROWS, "write_page_index": True}
files, out = job["files"], job.get("out")
read_bytes = job.get("bytes") or size(files)


def pyarrow_write():
    table = pq.read_table(files[0], use_threads=False).combine_chunks()
    use = dictionaries(files[0]) if job["dictionaries"] == "same" else True
    return table.num_rows, lambda: pq.write_table(table, out, use_dictionary=use, **PAGES)


def duckdb_copy():
    table = pq.read_table(files[0], use_threads=False).combine_chunks()
    connection = single()
    connection.register("source", table)
    return table.num_rows, lambda: connection.execute(f"COPY source TO '{out}' {COPY}")


def duckdb_rewrite():
    connection = single()
    rows = sum(pq.read_metadata(path).num_rows for path in files)
    return rows, lambda: connection.execute(f"COPY (FROM read_parquet({files_of(files)})) TO '{out}' {COPY}")


def pyarrow_rewrite():
    schema = pq.read_schema(files[0])
    use = dictionaries(files[0])

    def run():
        with pq.ParquetWriter(out, schema, use_dictionary=use, **{k: v for k, v in PAGES.items() if k != "row_group_size"}) as writer:
            tables = [pq.read_table(path, use_threads=False) for path in files]
            writer.write_table(pa.concat_tables(tables), row_group_size=ROW_GROUP_ROWS)

    return sum(pq.read_metadata(path).num_rows for path in files), run


def pyarrow_scan():
    def run():
        for path in files:
            for _ in pq.ParquetFile(path).iter_batches(16_384, use_threads=False):
                pass

    return sum(pq.read_metadata(path).num_rows for path in files), run


def duckdb_scan():
    connection = single()

    def run():
        for _ in connection.execute(f"FROM read_parquet({files_of(files)})").to_arrow_reader(16_384):
            pass

    return sum(pq.read_metadata(path).num_rows for path in files), run


rows, run = globals()[job["kind"].replace("-", "_")]()
print('{"ready":true}', flush=True)
for _ in sys.stdin:
    begin = time.process_time()
    run()
    seconds = time.process_time() - begin
    answer = {"cpuSeconds": seconds, "records": rows, "bytes": read_bytes}
    if out:
        answer["bytesOut"] = size([out])
    print(json.dumps(answer), flush=True)
