import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.AbstractMap.SimpleEntry;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericFixed;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Consume BOOTSTRAP SCHEMA_FOLDER OUT_FOLDER TOPIC…: everything that Kafka's own consumer sees of the topics with
 * read_committed, decoded by Avro's own reader with the newest schema, as canonical rows in OUT_FOLDER/TOPIC.jsonl.
 */
public final class Consume {
  public static void main(String[] args) throws Exception {
    Map<String, Object> config = Map.of(
        "bootstrap.servers", args[0],
        "isolation.level", "read_committed",
        "enable.auto.commit", false,
        "max.poll.records", 5000);
    try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      for (int at = 3; at < args.length; at++) read(consumer, Path.of(args[1]), Path.of(args[2]), args[at]);
    }
  }

  private static void read(KafkaConsumer<byte[], byte[]> consumer, Path schemas, Path out, String topic) throws Exception {
    Map<Integer, Schema> writers = new HashMap<>();
    Schema newest = null;
    int newestVersion = 0;
    try (var files = Files.list(schemas.resolve(topic + "-value"))) {
      for (Path file : files.toList()) {
        String[] name = file.getFileName().toString().replace(".avsc", "").split("-");
        Schema schema = new Schema.Parser().parse(Files.readString(file));
        writers.put(Integer.parseInt(name[1]), schema);
        if (Integer.parseInt(name[0]) > newestVersion) {
          newestVersion = Integer.parseInt(name[0]);
          newest = schema;
        }
      }
    }
    List<TopicPartition> partitions = new ArrayList<>();
    consumer.partitionsFor(topic).forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
    consumer.assign(partitions);
    consumer.seekToBeginning(partitions);
    Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
    Canonical rows = new Canonical();
    while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
        rows.add(record.partition(), record.offset(), row(record, writers, newest));
      }
    }
    System.out.println(topic + " " + rows.write(out.resolve(topic + ".jsonl")));
  }

  private static Map<String, Object> row(ConsumerRecord<byte[], byte[]> record, Map<Integer, Schema> writers, Schema newest)
      throws Exception {
    Map<String, Object> row = new LinkedHashMap<>();
    Integer schemaId = null;
    if (record.value() == null) {
      for (Schema.Field field : newest.getFields()) row.put(field.name(), null);
    } else {
      schemaId = ByteBuffer.wrap(record.value()).getInt(1);
      var decoder = DecoderFactory.get().binaryDecoder(record.value(), 5, record.value().length - 5, null);
      var reader = new GenericDatumReader<GenericRecord>(writers.get(schemaId), newest);
      GenericRecord value = reader.read(null, decoder);
      for (Schema.Field field : newest.getFields()) row.put(field.name(), canonical(field.schema(), value.get(field.pos())));
    }
    row.put("key", record.key() == null ? null : Canonical.binary(record.key()));
    List<Object> headers = new ArrayList<>();
    for (Header header : record.headers()) {
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("key", header.key());
      entry.put("value", header.value() == null ? null : Canonical.binary(header.value()));
      headers.add(entry);
    }
    Map<String, Object> kafka = new LinkedHashMap<>();
    kafka.put("partition", record.partition());
    kafka.put("offset", record.offset());
    kafka.put("timestamp", record.timestamp() * 1000);
    kafka.put("timestamp_type", record.timestampType().toString());
    kafka.put("leader_epoch", record.leaderEpoch().orElse(null));
    kafka.put("headers", headers);
    kafka.put("schema_id", schemaId);
    kafka.put("op", record.value() == null ? "delete" : "append");
    row.put("_kafka", kafka);
    return row;
  }

  private static Object canonical(Schema schema, Object value) {
    if (value == null) return null;
    switch (schema.getType()) {
      case UNION:
        return canonical(schema.getTypes().get(schema.getTypes().get(0).getType() == Schema.Type.NULL ? 1 : 0), value);
      case RECORD:
        Map<String, Object> fields = new LinkedHashMap<>();
        for (Schema.Field field : schema.getFields()) {
          fields.put(field.name(), canonical(field.schema(), ((GenericRecord) value).get(field.pos())));
        }
        return fields;
      case ARRAY:
        List<Object> items = new ArrayList<>();
        for (Object item : (List<?>) value) items.add(canonical(schema.getElementType(), item));
        return items;
      case MAP:
        List<Map.Entry<String, Object>> entries = new ArrayList<>();
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
          entries.add(new SimpleEntry<>(entry.getKey().toString(), canonical(schema.getValueType(), entry.getValue())));
        }
        return Canonical.pairs(entries);
      case FLOAT:
        return Canonical.floating((Float) value);
      case DOUBLE:
        return Canonical.floating((Double) value);
      case BYTES, FIXED:
        byte[] bytes = value instanceof GenericFixed fixed ? fixed.bytes() : bytes((ByteBuffer) value);
        return schema.getLogicalType() instanceof LogicalTypes.Decimal decimal
            ? new BigDecimal(new BigInteger(bytes), decimal.getScale()).toPlainString()
            : Canonical.binary(bytes);
      case STRING, ENUM:
        return value.toString();
      default:
        return value;
    }
  }

  private static byte[] bytes(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    return bytes;
  }
}
