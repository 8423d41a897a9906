"""JSON values in canonical form, by the mapping of types.md: objects, arrays, scalars, null; no union, no map."""

import datetime
import json

from canonical import floating

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)


class JsonSchema:
    def __init__(self, text):
        self.schema = json.loads(text)

    def read(self, data, reader):
        return json.loads(data)

    def fields(self, value):
        return {
            name: None if value is None else canonical(kind, value.get(name))
            for name, kind in self.schema["properties"].items()
        }

    def is_record(self):
        return self.schema.get("type") == "object"


def canonical(schema, value):
    if value is None:
        return None
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    (kind,) = [kind for kind in kinds if kind != "null"]
    if kind == "object":
        return {name: canonical(inner, value.get(name)) for name, inner in schema["properties"].items()}
    if kind == "array":
        return [canonical(schema["items"], item) for item in value]
    if kind == "number":
        return floating(float(value))
    if schema.get("format") == "date-time":
        return (datetime.datetime.fromisoformat(value) - EPOCH) // MICROSECOND
    if kind in ("string", "integer", "boolean") and "format" not in schema:
        return value
    raise TypeError(f"no canonical form for {schema}")
