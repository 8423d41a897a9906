"""verify_tables.py EXPECTED WAREHOUSE CATALOG: every table's rows by delta-rs and its files by PyIceberg; a sample by value.

EXPECTED holds tables.json ([{topic, rows, batches?: [[partition, offset, poolStart, count]]}]) and pool.bin (framed Avro
values, a 4-byte length before each). WAREHOUSE is the folder of the namespace "scale".
"""

import io
import json
import os
import struct
import sys

import fastavro
import pyarrow
import pyarrow.dataset
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog

folder, warehouse, catalog_uri = sys.argv[1:]
tables = json.load(open(os.path.join(folder, "tables.json")))
catalog = load_catalog("scale", type="rest", uri=catalog_uri)

FIELDS = ["id", "at", "kind", "value", "device", "quality"]
AT_MOST = 20


def read_pool():
    """The pool's records, a list of values by field; decoded by fastavro with the schema of any topic."""
    subject = os.path.join(os.path.dirname(os.path.dirname(warehouse)), "schemas", tables[0]["topic"] + "-value")
    schema = fastavro.parse_schema(json.load(open(os.path.join(subject, os.listdir(subject)[0]))))
    data = open(os.path.join(folder, "pool.bin"), "rb").read()
    columns = {name: [] for name in FIELDS}
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from(">i", data, at)
        record = fastavro.schemaless_reader(io.BytesIO(data[at + 9 : at + 4 + length]), schema)
        for name in FIELDS:
            columns[name].append(record[name])
        at += 4 + length
    return pyarrow.table(
        {
            "id": pyarrow.array(columns["id"], pyarrow.int64()),
            "at": pyarrow.array(columns["at"], pyarrow.timestamp("us", "UTC")),
            "kind": pyarrow.array(columns["kind"], pyarrow.string()),
            "value": pyarrow.array(columns["value"], pyarrow.float64()),
            "device": pyarrow.array(columns["device"], pyarrow.string()),
            "quality": pyarrow.array(columns["quality"], pyarrow.int32()),
        }
    )


def flat(table):
    """The fields and the two coordinates, in the order of the coordinates."""
    kafka = table.column("_kafka").combine_chunks()
    if isinstance(kafka, pyarrow.ChunkedArray):
        kafka = pyarrow.concat_arrays(kafka.chunks)
    columns = {name: table.column(name) for name in FIELDS}
    columns["partition"] = kafka.field("partition").cast(pyarrow.int32())
    columns["offset"] = kafka.field("offset").cast(pyarrow.int64())
    made = pyarrow.table(columns)
    return made.sort_by([("partition", "ascending"), ("offset", "ascending")])


def expected_rows(batches):
    parts = []
    for partition, offset, start, count in sorted(batches):
        part = pool.slice(start, count)
        part = part.append_column("partition", pyarrow.repeat(pyarrow.scalar(partition, pyarrow.int32()), count))
        parts.append(part.append_column("offset", pyarrow.array(range(offset, offset + count), pyarrow.int64())))
    return pyarrow.concat_tables(parts)


def differs(found, wanted):
    if found.num_rows != wanted.num_rows:
        return f"{found.num_rows} rows instead of {wanted.num_rows}"
    for name in wanted.column_names:
        left = found.column(name).combine_chunks().cast(wanted.column(name).type)
        right = wanted.column(name).combine_chunks()
        if not left.equals(right):
            return f"column {name} differs"
    return None


pool = read_pool()
differences = []
rows = sampled = sampled_rows = 0


def say(topic, what):
    if len(differences) < AT_MOST:
        differences.append(f"{topic}: {what}")


for table in tables:
    topic = table["topic"]
    try:
        delta = DeltaTable(os.path.join(warehouse, topic))
        actions = pyarrow.table(delta.get_add_actions(flatten=True))
        count = sum(actions.column("num_records").to_pylist())
        rows += count
        if count != table["rows"]:
            say(topic, f"Delta has {count} rows instead of {table['rows']}")
        iceberg = catalog.load_table(("scale", topic))
        planned = [task.file for task in iceberg.scan().plan_files()]
        ours = {os.path.join(warehouse, topic, path) for path in actions.column("path").to_pylist()}
        if {file.file_path.removeprefix("file://") for file in planned} != ours:
            say(topic, "Iceberg and Delta name different files")
        if sum(file.record_count for file in planned) != table["rows"]:
            say(topic, "Iceberg's manifests count other rows")
        if "batches" not in table:
            continue
        wanted = expected_rows(table["batches"])
        for name, found in (
            ("Delta", delta.to_pyarrow_dataset().to_table()),
            ("Iceberg", iceberg.scan().to_arrow()),
        ):
            difference = differs(flat(found), wanted)
            if difference is not None:
                say(topic, f"{name}: {difference}")
        sampled += 1
        sampled_rows += table["rows"]
    except Exception as error:  # one table's trouble is told beside the others'
        say(topic, f"{type(error).__name__}: {error}")

print(
    json.dumps(
        {
            "tables": len(tables),
            "rows": rows,
            "sampled": sampled,
            "sampledRows": sampled_rows,
            "differences": differences,
        }
    )
)
