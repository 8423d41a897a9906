"""check_segments.py LOG: every segment read by kafka-python; prints {"<topic>": {segments, batches, records, codecs}}."""

import json
import sys

from segments import batches, partitions

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
topics = {}
for (topic, partition), paths in partitions(sys.argv[1]).items():
    counts = topics.setdefault(topic, {"segments": 0, "batches": 0, "records": 0, "codecs": {}})
    expected = None
    for path in paths:
        counts["segments"] += 1
        for batch in batches(path):
            if expected is not None and batch.base_offset != expected:
                raise SystemExit(f"{path}: offset {batch.base_offset} where {expected} was due")
            expected = batch.next_offset
            counts["batches"] += 1
            codec = CODECS[batch.compression_type]
            counts["codecs"][codec] = counts["codecs"].get(codec, 0) + 1
            read = sum(1 for _ in batch)
            if read != batch.records_count:
                raise SystemExit(f"{path}: {read} records in a batch that counts {batch.records_count}")
            counts["records"] += read
print(json.dumps(topics))
