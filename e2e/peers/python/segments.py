"""Segments of a folder in Kafka's tiered-storage layout, read by kafka-python: no line of Millrace's own."""

import os
import re

from kafka.record.memory_records import MemoryRecords

# <topic>-<partition>-<topic id, 22 characters>
PARTITION = re.compile(r"^(.+)-(\d+)-([A-Za-z0-9_-]{22})$")
SEGMENT = re.compile(r"^(\d{20})-([A-Za-z0-9_-]{22})\.log$")


def partitions(log, topic=None):
    """{(topic, partition): [segment path, …] by start offset}"""
    found = {}
    for folder in sorted(os.listdir(log)):
        match = PARTITION.match(folder)
        if not match or (topic is not None and match[1] != topic):
            continue
        names = sorted(name for name in os.listdir(os.path.join(log, folder)) if SEGMENT.match(name))
        found[match[1], int(match[2])] = [os.path.join(log, folder, name) for name in names]
    return found


def batches(path):
    """Every batch of a segment, its CRC checked, no byte left over."""
    with open(path, "rb") as file:
        data = file.read()
    records, size = MemoryRecords(data), 0
    while records.has_next():
        batch = records.next_batch()
        if not batch.validate_crc():
            raise ValueError(f"{path}: the batch at offset {batch.base_offset} fails its CRC")
        size += batch.size_in_bytes
        yield batch
    if size != len(data):
        raise ValueError(f"{path}: {len(data) - size} bytes after the last whole batch")


def committed(paths):
    """
    (batch facts, record) of every committed data record of a partition, and at last the offset up to which everything
    is decided: records of transactions that the segments leave open are not given, nor what stands after the first.
    """
    open_transactions, pending, end = {}, [], 0
    for path in paths:
        for batch in batches(path):
            facts = (batch.leader_epoch, batch.timestamp_type)
            end = batch.next_offset
            if batch.is_control_batch:
                for record in batch:
                    for entry in open_transactions.pop(batch.producer_id, []):
                        entry[2] = record.abort is not True
                continue
            for record in batch:
                entry = [facts, record, None if batch.is_transactional else True]
                pending.append(entry)
                if batch.is_transactional:
                    open_transactions.setdefault(batch.producer_id, []).append(entry)
            if not open_transactions:
                yield from ((facts, record) for facts, record, keep in pending if keep)
                pending = []
    for facts, record, keep in pending:
        if keep is None:
            end = record.offset
            break
        if keep:
            yield facts, record
    yield None, end
