"""read_deltalake.py LOCATION OUT: the canonical rows of a Delta table, by delta-rs."""

import json
import sys

from deltalake import DeltaTable

import canonical

location, out = sys.argv[1:]
table = DeltaTable(location)
rows = canonical.write(canonical.from_arrow(table.to_pyarrow_dataset().to_batches()), out)
print(json.dumps({"rows": rows, "version": table.version()}))
