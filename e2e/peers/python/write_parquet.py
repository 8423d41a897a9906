"""Parquet files by pyarrow, DuckDB and delta-rs, of the same rows in many forms; prints the rows and the files as JSON.

write_parquet.py FOLDER SEED
"""

import decimal
import itertools
import json
import pathlib
import random
import sys

import deltalake
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 900
folder = pathlib.Path(sys.argv[1])
random.seed(int(sys.argv[2]))


def maybe(make):
    return None if random.random() < 0.15 else make()


def column(kind, make):
    return pa.array([maybe(make) for _ in range(ROWS)], kind)


def unscaled(digits):
    return decimal.Decimal(random.randrange(1 - 10**digits, 10**digits)).scaleb(-2, decimal.Context(prec=50))


def some(most, make):
    return [maybe(make) for _ in range(random.randrange(most))]


def words():
    return random.choice(["", "a", "é" * random.randrange(5), f"long {random.random()}", "漢字"])


struct = pa.struct([("x", pa.int32()), ("y", pa.struct([("z", pa.string())]))])
item = pa.struct([("k", pa.string()), ("v", pa.float64())])
table = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int64()),
        "tiny": column(pa.int8(), lambda: random.randrange(-128, 128)),
        "int": column(pa.int32(), lambda: random.randrange(-(2**31), 2**31)),
        "uint": column(pa.uint32(), lambda: random.randrange(2**32)),
        "long": column(pa.int64(), lambda: random.choice([random.getrandbits(63), -1, 2**63 - 1, -(2**63)])),
        "float": column(pa.float32(), lambda: random.randrange(1000) / 8),
        "double": column(pa.float64(), random.random),
        "flag": column(pa.bool_(), lambda: random.random() < 0.5),
        "text": column(pa.string(), words),
        "bytes": column(pa.binary(), lambda: random.randbytes(random.randrange(9))),
        "fixed": column(pa.binary(5), lambda: random.randbytes(5)),
        "cents": column(pa.decimal128(9, 2), lambda: unscaled(9)),
        "money": column(pa.decimal128(18, 2), lambda: unscaled(18)),
        "huge": column(pa.decimal128(38, 2), lambda: unscaled(37)),
        "day": column(pa.date32(), lambda: random.randrange(-10000, 30000)),
        "micros": column(pa.timestamp("us"), lambda: random.randrange(-(10**15), 2 * 10**15)),
        "millis": column(pa.timestamp("ms", "UTC"), lambda: random.randrange(-(10**12), 2 * 10**12)),
        "lists": column(pa.list_(pa.list_(pa.string())), lambda: some(4, lambda: some(3, words))),
        "struct": column(struct, lambda: {"x": maybe(lambda: random.randrange(9)), "y": maybe(lambda: {"z": maybe(words)})}),
        "items": column(pa.list_(item), lambda: some(4, lambda: {"k": maybe(words), "v": maybe(random.random)})),
        "map": column(pa.map_(pa.string(), pa.int64()), lambda: [(str(i), maybe(lambda: i)) for i in range(random.randrange(4))]),
    }
)


def plain(value, kind):
    """As the test compares it: what JSON's numbers do not hold exactly is text."""
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {field.name: plain(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        return {key: plain(item, kind.item_type) for key, item in value}
    if pa.types.is_list(kind):
        return [plain(element, kind.value_type) for element in value]
    if pa.types.is_decimal(kind):
        return str(int(value.scaleb(2, decimal.Context(prec=60))))
    if isinstance(value, bytes):
        return value.hex()
    if kind in (pa.int64(), pa.uint32()):
        return str(value)
    return value


def values(name, kind):
    array = table.column(name)
    if pa.types.is_date(kind):
        return array.cast(pa.int32()).to_pylist()
    if pa.types.is_timestamp(kind):
        scale = 1000 if kind.unit == "ms" else 1
        return [None if v is None else str(v * scale) for v in array.cast(pa.int64()).to_pylist()]
    return [plain(value, kind) for value in array.to_pylist()]


columns = {field.name: values(field.name, field.type) for field in table.schema}
files = []


def place(name):
    files.append(name)
    return folder / name


def arrow(name, **options):
    pq.write_table(table, place(f"pyarrow-{name}.parquet"), row_group_size=400, write_batch_size=32, **options)


for number, (codec, version, dictionary) in enumerate(
    itertools.product(["none", "snappy", "gzip", "brotli", "zstd", "lz4"], ["1.0", "2.0"], [True, False])
):
    arrow(
        f"{codec}-{version}-{dictionary}",
        compression=codec,
        data_page_version=version,
        use_dictionary=dictionary,
        data_page_size=300 if number % 3 else 1 << 20,
        write_page_index=number % 4 != 0,
        write_page_checksum=number % 2 == 0,
    )
DELTA = {"id": "DELTA_BINARY_PACKED", "int": "DELTA_BINARY_PACKED", "long": "DELTA_BINARY_PACKED", "day": "DELTA_BINARY_PACKED"}
DELTA |= {"text": "DELTA_BYTE_ARRAY", "fixed": "DELTA_BYTE_ARRAY", "bytes": "DELTA_LENGTH_BYTE_ARRAY", "flag": "RLE"}
SPLIT = {name: "BYTE_STREAM_SPLIT" for name in ["int", "long", "float", "double", "fixed", "cents", "huge", "micros"]}
for version in ["1.0", "2.0"]:
    arrow(f"deltas-{version}", use_dictionary=False, column_encoding=DELTA, data_page_version=version, write_page_index=True)
    arrow(f"splits-{version}", use_dictionary=False, column_encoding=SPLIT, data_page_version=version, data_page_size=900)
arrow("old-lists", use_compliant_nested_type=False, data_page_size=500)
arrow("int96", use_deprecated_int96_timestamps=True)

connection = duckdb.connect()
connection.register("t", table)
for codec, version in itertools.product(["uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw"], ["V1", "V2"]):
    target = place(f"duckdb-{codec}-{version}.parquet")
    connection.execute(
        f"COPY t TO '{target}' (FORMAT parquet, COMPRESSION {codec}, PARQUET_VERSION {version}, ROW_GROUP_SIZE 2048)"
    )

deltalake.write_deltalake(str(folder / "delta"), table.drop(["uint"]))
files += [str(path.relative_to(folder)) for path in (folder / "delta").glob("*.parquet")]
rows = [{name: column[row] for name, column in columns.items()} for row in range(ROWS)]
print(json.dumps({"rows": rows, "files": files}))
