"""Avro values (decoded by fastavro, logical types stripped) in canonical form, by the mapping of types.md."""

import io
import json
import uuid

import fastavro

from canonical import binary, decimal_text, floating, pairs

PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
THOUSAND = {"time-millis", "timestamp-millis", "local-timestamp-millis"}


def without_logical_types(schema):
    """The schema as fastavro shall see it: raw integers and bytes say more than Python's dates."""
    if isinstance(schema, list):
        return [without_logical_types(branch) for branch in schema]
    if isinstance(schema, dict):
        return {
            key: without_logical_types(value) if key in ("type", "items", "values", "fields") else value
            for key, value in schema.items()
            if key not in ("logicalType", "precision", "scale")
        }
    return schema


class AvroSchema:
    def __init__(self, text):
        self.schema = json.loads(text)
        self.parsed = fastavro.parse_schema(without_logical_types(self.schema))
        self.names = {}
        self._collect(self.schema, "")

    def _collect(self, schema, namespace):
        if isinstance(schema, list):
            for branch in schema:
                self._collect(branch, namespace)
        elif isinstance(schema, dict):
            kind = schema["type"]
            if isinstance(kind, (dict, list)):
                self._collect(kind, namespace)
            elif kind in ("record", "error", "enum", "fixed"):
                name, namespace = full_name(schema, namespace)
                self.names[name] = schema
                schema["#full"] = name
                for field in schema.get("fields", []):
                    field["#namespace"] = namespace
                    self._collect(field["type"], namespace)
            elif kind == "array":
                self._collect(schema["items"], namespace)
            elif kind == "map":
                self._collect(schema["values"], namespace)

    def read(self, data, reader):
        """The value of bytes that this schema wrote, as `reader` (another AvroSchema) sees it; every byte is used."""
        stream = io.BytesIO(data)
        value = fastavro.schemaless_reader(stream, self.parsed, reader.parsed, return_named_type=True)
        if stream.tell() != len(data):
            raise ValueError(f"{len(data) - stream.tell()} bytes left over")
        return value

    def fields(self, value):
        """The top-level columns of a record's value; of None: all null."""
        return {
            field["name"]: None if value is None else self.canonical(field["type"], value[field["name"]], "")
            for field in self.schema["fields"]
            if field["type"] != "null"
        }

    def is_record(self):
        return isinstance(self.schema, dict) and self.schema["type"] == "record"

    def canonical(self, schema, value, namespace=""):
        if isinstance(value, tuple):
            return self._union(schema, value) if isinstance(schema, list) else self.canonical(schema, value[1])
        if isinstance(schema, list):
            return self._union(schema, value)
        if isinstance(schema, str):
            if schema not in PRIMITIVES:
                return self.canonical(self.resolve(schema), value)
            schema = {"type": schema}
        kind, logical = schema["type"], schema.get("logicalType")
        if isinstance(kind, (dict, list)) or kind not in PRIMITIVES | {"record", "enum", "fixed", "array", "map"}:
            return self.canonical(kind, value)
        if logical == "decimal":
            return decimal_text(int.from_bytes(value, "big", signed=True), schema.get("scale", 0))
        if logical == "duration":
            months, days, millis = (int.from_bytes(value[at : at + 4], "little") for at in (0, 4, 8))
            return {"months": months, "days": days, "millis": millis}
        if logical == "uuid" and kind == "fixed":
            return str(uuid.UUID(bytes=value))
        if logical in THOUSAND:
            return value * 1000
        if kind in ("float", "double"):
            return floating(value)
        if kind in ("bytes", "fixed"):
            return binary(value)
        if kind == "array":
            return [self.canonical(schema["items"], item) for item in value]
        if kind == "map":
            return pairs([[key, self.canonical(schema["values"], item)] for key, item in value.items()])
        if kind == "record":
            return {
                field["name"]: self.canonical(field["type"], value[field["name"]])
                for field in schema["fields"]
                if field["type"] != "null"
            }
        return value

    def resolve(self, name):
        found = [schema for full, schema in self.names.items() if full == name or full.endswith("." + name)]
        if len(found) != 1:
            raise ValueError(f"{len(found)} types are called {name}")
        return found[0]

    def _union(self, schema, value):
        branches = [branch for branch in schema if branch != "null"]
        if value is None:
            return None
        if len(branches) == 1:
            return self.canonical(branches[0], value[1] if isinstance(value, tuple) else value)
        if not branches:
            raise ValueError("a union of null alone has no column")
        names = [branch_name(branch) for branch in branches]
        if isinstance(value, tuple):
            chosen, value = value[0].rpartition(".")[2], value[1]
        else:
            fitting = [name for name in names if isinstance(value, PYTHON.get(name, ())) and type(value) in PYTHON[name]]
            if len(fitting) != 1:
                raise ValueError(f"the union {names} has {len(fitting)} branches for {value!r}")
            chosen = fitting[0]
        return {
            name: self.canonical(branch, value) if name == chosen else None for name, branch in zip(names, branches)
        }


PYTHON = {
    "boolean": (bool,),
    "int": (int,),
    "long": (int,),
    "float": (float,),
    "double": (float,),
    "bytes": (bytes,),
    "string": (str,),
    "array": (list,),
    "map": (dict,),
}


def branch_name(branch):
    """Branches are called by their type; named types by their name."""
    if isinstance(branch, str):
        return branch.rpartition(".")[2]
    return branch["name"].rpartition(".")[2] if "name" in branch else branch["type"]


def full_name(schema, namespace):
    name = schema["name"]
    if "." in name:
        return name, name.rpartition(".")[0]
    namespace = schema.get("namespace", namespace)
    return (f"{namespace}.{name}" if namespace else name), namespace
