"""read_pyiceberg.py URI NAMESPACE.TABLE OUT: the canonical rows of a table, by PyIceberg through a REST catalog."""

import json
import sys

from pyiceberg.catalog import load_catalog

import canonical

uri, name, out = sys.argv[1:]
table = load_catalog("millrace", type="rest", uri=uri).load_table(tuple(name.split(".", 1)))
rows = canonical.write(canonical.from_arrow(table.scan().to_arrow_batch_reader()), out)
print(json.dumps({"rows": rows}))
