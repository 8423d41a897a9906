"""The canonical rows of a Parquet file, by pyarrow: read_pyarrow.py FILE OUT"""

import json
import sys

import pyarrow.parquet as pq

import canonical

file, out = sys.argv[1:]
batches = pq.ParquetFile(file, page_checksum_verification=True).iter_batches(10_000)
print(json.dumps({"rows": canonical.write(canonical.from_arrow(batches), out)}))
