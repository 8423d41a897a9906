"""Protobuf values (decoded by Google's library) in canonical form, by the mapping of types.md."""

import datetime
import json

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor

from canonical import binary, decimal_text, floating, pairs

WRAPPERS = {f"google.protobuf.{kind}Value" for kind in "Double Float Int64 UInt64 Int32 UInt32 Bool String Bytes".split()}
UNSIGNED_LONGS = (FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64)


class ProtobufSchema:
    """From a compiled schema (a FileDescriptorSet whose last file is the schema's own)."""

    def __init__(self, compiled):
        files = descriptor_pb2.FileDescriptorSet.FromString(compiled).file
        pool = descriptor_pool.DescriptorPool()
        waiting = {file.name: file for file in files}

        def add(name):
            file = waiting.pop(name, None)
            if file is not None:
                for dependency in file.dependency:
                    add(dependency)
                pool.Add(file)

        for file in files:
            add(file.name)
        imported = {dependency for file in files for dependency in file.dependency}
        (self.main,) = [file for file in files if file.name not in imported]
        self.pool = pool
        self.message = self._message([self._main()])

    def _main(self):
        """The first message of the file that no other one of it uses, else the first."""
        first = "." + self.main.package + "." if self.main.package else "."
        used = {field.type_name for message in self.main.message_type for field in message.field if field.type_name != first + message.name}
        free = [at for at, message in enumerate(self.main.message_type) if first + message.name not in used]
        return (free or [0])[0]

    def _message(self, indexes):
        scope, name = self.main.message_type, self.main.package
        for index in indexes:
            name, scope = f"{name}.{scope[index].name}" if name else scope[index].name, scope[index].nested_type
        return self.pool.FindMessageTypeByName(name)

    def read(self, data, reader):
        """The message behind Confluent's list of message indexes (zigzag varints; a single 0 is the list [0])."""
        count, at = zigzag(data, 0)
        indexes = []
        for _ in range(count):
            index, at = zigzag(data, at)
            indexes.append(index)
        return message_factory.GetMessageClass(self._message(indexes or [0])).FromString(data[at:])

    def fields(self, value):
        if value is None:
            return {field.name: None for field in self.message.fields}
        return struct(value)

    def is_record(self):
        return True


def zigzag(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at


def struct(message):
    return {field.name: field_value(message, field) for field in message.DESCRIPTOR.fields}


def field_value(message, field):
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        by_name = field.message_type.fields_by_name
        return pairs([[scalar(by_name["key"], key), scalar(by_name["value"], item)] for key, item in value.items()])
    if field.is_repeated:
        return [scalar(field, item) for item in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return scalar(field, value)


def scalar(field, value):
    if field.message_type is not None:
        if field.message_type.full_name == "google.protobuf.Timestamp":
            micros, rest = divmod(value.nanos, 1000)
            if rest:
                raise ValueError(f"{field.full_name} is finer than a microsecond")
            return value.seconds * 1_000_000 + micros
        name = field.message_type.full_name
        if name in WRAPPERS:
            return scalar(field.message_type.fields_by_name["value"], value.value)
        if name == "google.protobuf.Struct":
            return json.dumps(json_format.MessageToDict(value), separators=(",", ":"), ensure_ascii=False)
        if name == "google.type.Date":
            return (datetime.date(value.year, value.month, value.day) - datetime.date(1970, 1, 1)).days
        if field.message_type.file.package.startswith("google.") and name != "google.protobuf.Duration":
            raise TypeError(f"no canonical form for {field.message_type.full_name}")
        return struct(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return str(value) if known is None else known.name
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return floating(value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return binary(value)
    if field.type in UNSIGNED_LONGS:
        return decimal_text(value, 0)
    return value
