"""
What a topic's table must hold, from its segments alone: kafka-python reads the batches, fastavro, Google's protobuf or
json the values, types.md says the columns. Protobuf schemas lie there compiled too (<version>-<id>.binpb). Prints
{"rows": N, "ends": {partition: offset}} and writes the canonical rows.

  oracle.py --log DIR --schemas DIR --topic NAME --out FILE [--before '{"0": 1200}'] [--without '[[0, 17], …]']
            [--reader-version N]

--before: only offsets below this of each partition. --without: these offsets are left out (records that a policy skips).
--reader-version: the schema version that the table's columns come from (default: the newest).
"""

import argparse
import json
import os
import re

from avro_values import AvroSchema
from canonical import binary, line, write
from json_values import JsonSchema
from segments import committed, partitions

parser = argparse.ArgumentParser()
for name in ("log", "schemas", "topic", "out"):
    parser.add_argument("--" + name, required=True)
parser.add_argument("--before", type=json.loads, default={})
parser.add_argument("--without", type=json.loads, default=[])
parser.add_argument("--reader-version", type=int)
options = parser.parse_args()

SCHEMA_FILE = re.compile(r"^(\d+)-(\d+)\.(avsc|json|proto)$")


def load(path, kind):
    if kind == "proto":
        from protobuf_values import ProtobufSchema

        with open(os.path.splitext(path)[0] + ".binpb", "rb") as compiled:
            return ProtobufSchema(compiled.read())
    with open(path, encoding="utf-8") as text:
        return {"avsc": AvroSchema, "json": JsonSchema}[kind](text.read())


def subject(name):
    """{schema id: schema} and the newest schema of a subject; nothing when there is no such subject."""
    folder = os.path.join(options.schemas, name)
    found = {}
    for file in os.listdir(folder) if os.path.isdir(folder) else []:
        match = SCHEMA_FILE.match(file)
        if match:
            found[int(match[1])] = (int(match[2]), load(os.path.join(folder, file), match[3]))
    newest = found[options.reader_version if name.endswith("-value") and options.reader_version else max(found)][1] if found else None
    return dict(found.values()), newest


values, reader = subject(options.topic + "-value")
keys, key_reader = subject(options.topic + "-key")


def decode(schemas, into, data):
    """(schema id, value) of Confluent's framing: a zero byte, the id in four bytes, the value's own encoding."""
    if data is None:
        return None, None
    if data[0] != 0 or len(data) < 5:
        raise ValueError("no Confluent framing")
    schema_id = int.from_bytes(data[1:5], "big")
    return schema_id, schemas[schema_id].read(data[5:], into)


def key_columns(key):
    if key_reader is None:
        return {"key": None if key is None else binary(key)}
    _, value = decode(keys, key_reader, key)
    if key_reader.is_record():
        return key_reader.fields(value)
    return {"key": None if value is None else key_reader.canonical(key_reader.schema, value)}


def rows():
    skipped = {tuple(pair) for pair in options.without}
    for (_, partition), paths in partitions(options.log, options.topic).items():
        limit = options.before.get(str(partition))
        for facts, record in committed(paths):
            if facts is None:
                ends[partition] = record
                continue
            if (partition, record.offset) in skipped or (limit is not None and record.offset >= limit):
                continue
            leader_epoch, timestamp_type = facts
            try:
                schema_id, value = decode(values, reader, record.value)
                row = reader.fields(value)
                for name, column in key_columns(record.key).items():
                    row["key_" + name if name in row else name] = column
            except Exception as error:
                raise SystemExit(f"{options.topic}, partition {partition}, offset {record.offset}: {error!r}")
            row["_kafka"] = {
                "partition": partition,
                "offset": record.offset,
                "timestamp": record.timestamp * 1000,
                "timestamp_type": ["CreateTime", "LogAppendTime"][timestamp_type],
                "leader_epoch": leader_epoch,
                "headers": [{"key": key, "value": None if item is None else binary(item)} for key, item in record.headers],
                "schema_id": schema_id,
                "op": "delete" if record.value is None else "append",
            }
            yield partition, record.offset, line(row)


ends = {}
print(json.dumps({"rows": write(rows(), options.out), "ends": ends}))
