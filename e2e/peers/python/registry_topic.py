"""
A topic by Confluent's own client, serialisers and schema registry client.

  registry_topic.py register REGISTRY TOPIC VERSION
      registers the key's schema and the value's in that version (1, or 2 with one more field)
  registry_topic.py produce BOOTSTRAP REGISTRY TOPIC VERSION FIRST COUNT [--unknown AT:ID]
      makes the topic (two partitions, segments of ten seconds of record time) if it is not there, and records FIRST,
      FIRST+1, … with the newest schemas; the last record of each partition begins a segment, so that all before it can
      be tiered. Prints {partition: offset of that record}. --unknown: the record AT names schema ID, which nobody has.
  registry_topic.py consume BOOTSTRAP REGISTRY TOPIC VERSION ENDS OUT
      canonical rows of every record below ENDS ({partition: offset}), decoded with that version as the reader's schema
"""

import datetime
import decimal
import json
import os
import sys
import time

from confluent_kafka import Consumer, Producer, TIMESTAMP_CREATE_TIME, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from canonical import DECIMALS, binary, decimal_text, line, write

PARTITIONS = 2
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
START = datetime.datetime(2026, 1, 1, tzinfo=UTC)
ADDRESS = """{"type": "record", "name": "Address", "namespace": "shop", "fields": [
  {"name": "city", "type": "string"},
  {"name": "zip", "type": ["null", "string"], "default": null}]}"""
KEY = """{"type": "record", "name": "UserKey", "namespace": "shop", "fields": [
  {"name": "tenant", "type": "string"}, {"name": "id", "type": "long"}]}"""
FIELDS = """
  {"name": "id", "type": "long"},
  {"name": "name", "type": ["null", "string"], "default": null},
  {"name": "home", "type": "shop.Address"},
  {"name": "work", "type": ["null", "shop.Address"], "default": null},
  {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}"""
ADDED = ', {"name": "tier", "type": ["null", "string"], "default": null}'


def value_schema(version):
    fields = FIELDS + (ADDED if version == 2 else "")
    text = '{"type": "record", "name": "User", "namespace": "shop", "fields": [' + fields + "]}"
    return Schema(text, "AVRO", [SchemaReference("shop.Address", "shop.Address", 1)])


def register(url, topic, version):
    client = SchemaRegistryClient({"url": url, "timeout": 10})
    client.register_schema("shop.Address", Schema(ADDRESS, "AVRO"))
    client.register_schema(topic + "-key", Schema(KEY, "AVRO"))
    return {"id": client.register_schema(topic + "-value", value_schema(version))}


def user(at, version):
    address = {"city": f"Ål {at}", "zip": None if at % 2 else str(at)}
    value = {
        "id": at * 1_000_003 - (2**62 if at % 3 == 0 else 0),
        "name": None if at % 4 == 0 else f"nåme {at}",
        "home": address,
        "work": address if at % 5 == 0 else None,
        "amount": decimal.Decimal(at * 7919 - 5_000_000).scaleb(-2),
        "at": START + datetime.timedelta(microseconds=at * 1001),
    }
    return {**value, "tier": None if at % 2 else f"tier {at}"} if version == 2 else value


def produce(bootstrap, url, topic, version, first, count, unknown):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    if topic not in admin.list_topics(timeout=30).topics:
        config = {"remote.storage.enable": "true", "segment.ms": "10000", "retention.ms": "-1"}
        for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1, config=config)]).values():
            made.result()
    client = SchemaRegistryClient({"url": url, "timeout": 10})
    newest = {"auto.register.schemas": False, "use.latest.version": True}
    key = AvroSerializer(client, Schema(KEY, "AVRO"), conf=newest)
    value = AvroSerializer(client, value_schema(version), conf=newest)
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": "zstd", "batch.num.messages": 100})
    delivered = {}

    def on_delivery(error, message):
        if error is not None:
            raise SystemExit(f"{topic}: {error}")
        delivered[message.partition()] = message.offset()

    def send(at, partition, later_ms=0):
        content = None if at % 11 == 3 else value(user(at, version), SerializationContext(topic, MessageField.VALUE))
        if unknown is not None and at == unknown[0]:
            content = b"\0" + unknown[1].to_bytes(4, "big") + content[5:]
        producer.produce(
            topic,
            key=key({"tenant": f"t{at % 7}", "id": at}, SerializationContext(topic, MessageField.KEY)),
            value=content,
            partition=partition,
            timestamp=1_750_000_000_000 + at * 10 + later_ms,
            headers=[("h", str(at).encode()), ("none", None)] if at % 6 == 0 else [],
            on_delivery=on_delivery,
        )
        producer.poll(0)

    for at in range(first, first + count):
        send(at, at % PARTITIONS)
    producer.flush()
    for partition in range(PARTITIONS):
        send(first + count + partition, partition, later_ms=20_000)
    producer.flush()
    return delivered


def canonical(value):
    if isinstance(value, dict):
        return {name: canonical(item) for name, item in value.items()}
    if isinstance(value, decimal.Decimal):
        return decimal_text(int(value.scaleb(2, DECIMALS)), 2)
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    return value


def rows(bootstrap, url, topic, version, ends):
    client = SchemaRegistryClient({"url": url, "timeout": 10})
    keys = AvroDeserializer(client)
    values = AvroDeserializer(client, value_schema(version))
    columns = [field["name"] for field in json.loads(value_schema(version).schema_str)["fields"]]
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "rows",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    deadline = time.monotonic() + 200
    following = {}
    consumer.assign([TopicPartition(topic, int(partition), 0) for partition, end in ends.items() if end > 0])
    open_partitions = {int(partition) for partition, end in ends.items() if end > 0}
    while open_partitions:
        message = consumer.poll(5)
        if message is None or message.error():
            # What the client says of its connections it mends by itself.
            print(f"{topic}: {message and message.error()}; not at its end: {open_partitions}", file=sys.stderr)
            if time.monotonic() > deadline:
                # A consumer that is given up must not be waited for.
                sys.stderr.flush()
                os._exit(1)
            continue
        partition, offset = message.partition(), message.offset()
        # After a reset to the earliest offset records come again.
        if offset < following.get(partition, 0):
            continue
        following[partition] = offset + 1
        end = ends[str(partition)]
        if offset >= end - 1:
            open_partitions.discard(partition)
        if offset >= end:
            continue
        data = message.value()
        value = None if data is None else values(data, SerializationContext(topic, MessageField.VALUE))
        row = {name: None if value is None else canonical(value[name]) for name in columns}
        key = keys(message.key(), SerializationContext(topic, MessageField.KEY))
        for name, item in key.items():
            row["key_" + name if name in row else name] = item
        timestamp_type, timestamp = message.timestamp()
        row["_kafka"] = {
            "partition": partition,
            "offset": offset,
            "timestamp": timestamp * 1000,
            "timestamp_type": "CreateTime" if timestamp_type == TIMESTAMP_CREATE_TIME else "LogAppendTime",
            "leader_epoch": message.leader_epoch(),
            "headers": [
                {"key": name, "value": None if item is None else binary(item)} for name, item in message.headers() or []
            ],
            "schema_id": None if data is None else int.from_bytes(data[1:5], "big"),
            "op": "delete" if data is None else "append",
        }
        yield partition, offset, line(row)


how, *rest = sys.argv[1:]
if how == "register":
    print(json.dumps(register(rest[0], rest[1], int(rest[2]))))
elif how == "produce":
    bootstrap, url, topic, version, first, count, *options = rest
    unknown = [int(part) for part in options[1].split(":")] if options else None
    print(json.dumps(produce(bootstrap, url, topic, int(version), int(first), int(count), unknown)))
else:
    bootstrap, url, topic, version, ends, out = rest
    print(json.dumps({"rows": write(rows(bootstrap, url, topic, int(version), json.loads(ends)), out)}), flush=True)
    # Closing a consumer may wait for a group that it never joined.
    os._exit(0)
