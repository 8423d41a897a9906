"""The canonical form of a row, in which readers are compared: see ../README.md.

A row is one line of JSON: an object of columns, keys sorted, no spaces. Lines are sorted by (partition, offset).
"""

import decimal
import json
import math
import struct

import pyarrow as pa

DECIMALS = decimal.Context(prec=80)


def floating(value):
    """The 64 bits of an IEEE double in hex, so that -0.0 differs from 0.0; every NaN is one."""
    return "NaN" if math.isnan(value) else struct.pack(">d", value).hex()


def decimal_text(unscaled, scale):
    """A decimal of the given unscaled integer: always exactly `scale` digits after the point."""
    digits = str(abs(unscaled)).rjust(scale + 1, "0")
    whole, part = digits[: len(digits) - scale], digits[len(digits) - scale :]
    return ("-" if unscaled < 0 else "") + whole + ("." + part if scale else "")


def binary(value):
    return "x" + bytes(value).hex()


def pairs(items):
    """A map: its pairs, sorted by the text of the key."""
    return sorted(items, key=lambda pair: str(pair[0]).encode())


def line(row):
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def write(rows, out):
    """rows: (partition, offset, line) in any order."""
    rows = sorted(rows, key=lambda row: (row[0], row[1]))
    with open(out, "w", encoding="utf-8", newline="\n") as file:
        for _, _, text in rows:
            file.write(text + "\n")
    return len(rows)


def identity(value):
    return value


def encoder(kind):
    """(Arrow type of lowered arrays, value function, whether values must go through it) of an Arrow type."""
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return kind, identity
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return kind, identity
    if pa.types.is_floating(kind):
        return kind, floating
    if pa.types.is_timestamp(kind):
        if kind.unit != "us":
            raise TypeError(f"a timestamp in {kind.unit}, not us")
        return pa.int64(), identity
    if pa.types.is_date32(kind):
        return pa.int32(), identity
    if pa.types.is_time64(kind):
        return pa.int64(), identity
    if pa.types.is_decimal(kind):
        scale = kind.scale
        return kind, lambda value: decimal_text(int(value.scaleb(scale, DECIMALS)), scale)
    if pa.types.is_dictionary(kind):
        return encoder(kind.value_type)
    if (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    ):
        return kind, binary
    if pa.types.is_struct(kind):
        inner = [(field, encoder(field.type)) for field in kind]
        lowered = pa.struct([field.with_type(low) for field, (low, _) in inner])
        functions = [(field.name, nullable(fn)) for field, (_, fn) in inner]
        return lowered, lambda value: {name: fn(value[name]) for name, fn in functions}
    if pa.types.is_map(kind):
        (key_low, key_fn), (item_low, item_fn) = encoder(kind.key_type), encoder(kind.item_type)
        item_fn = nullable(item_fn)
        return (
            pa.map_(key_low, kind.item_field.with_type(item_low)),
            lambda value: pairs([[key_fn(key), item_fn(item)] for key, item in value]),
        )
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        low, fn = encoder(kind.value_type)
        fn = nullable(fn)
        make = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return make(kind.value_field.with_type(low)), lambda value: [fn(item) for item in value]
    raise TypeError(f"no canonical form for Arrow type {kind}")


def nullable(function):
    if function is identity:
        return function
    return lambda value: None if value is None else function(value)


def from_arrow(batches):
    """(partition, offset, line) of every row of Arrow record batches that have the column `_kafka`."""
    for batch in batches:
        columns = []
        for name, array in zip(batch.schema.names, batch.columns):
            low, fn = encoder(array.type)
            if low != array.type:
                array = array.cast(low)
            columns.append((name, list(map(nullable(fn), array.to_pylist(maps_as_pydicts=None)))))
        kafka = dict(columns)["_kafka"]
        for at in range(batch.num_rows):
            row = {name: values[at] for name, values in columns}
            yield kafka[at]["partition"], kafka[at]["offset"], line(row)
