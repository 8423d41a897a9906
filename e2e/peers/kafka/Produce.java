import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Produce BOOTSTRAP SCHEMA_FOLDER RECORDS: topics by Kafka's own producer, values by Avro's own encoder in Confluent's
 * framing, schemas into the folder; then waits until what can be tiered is. Prints the topics' names, one a line.
 */
public final class Produce {
  private static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
  private static final String FIELDS =
      """
      {"name": "id", "type": "long"},
      {"name": "name", "type": "string"},
      {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B", "C"]}},
      {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4}},
      {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
      {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null},
      {"name": "ratio", "type": "double"},
      {"name": "flags", "type": {"type": "array", "items": "boolean"}},
      {"name": "labels", "type": {"type": "map", "values": ["null", "string"]}},
      {"name": "parent", "type": ["null", {"type": "record", "name": "Parent", "fields": [
        {"name": "id", "type": "int"}, {"name": "weight", "type": "float"}]}], "default": null},
      {"name": "payload", "type": "bytes"}
      """;
  private static final String ADDED = ", {\"name\": \"note\", \"type\": [\"null\", \"string\"], \"default\": null}";

  private static Schema schema(String fields) {
    String text = "{\"type\": \"record\", \"name\": \"Event\", \"namespace\": \"peers\", \"fields\": [" + fields + "]}";
    return new Schema.Parser().parse(text);
  }

  private final String bootstrap;
  private final Path schemas;
  private final Random random = new Random(20261122);
  private int lastSchemaId = 100;
  private final Map<String, int[]> idsOfTopic = new HashMap<>();
  private final Schema[] versions = {schema(FIELDS), schema(FIELDS + ADDED)};

  private Produce(String bootstrap, Path schemas) {
    this.bootstrap = bootstrap;
    this.schemas = schemas;
  }

  public static void main(String[] args) throws Exception {
    new Produce(args[0], Path.of(args[1])).run(Integer.parseInt(args[2]));
  }

  private void run(int records) throws Exception {
    Map<String, String> tiered = Map.of(
        "remote.storage.enable", "true",
        "segment.bytes", "1048576",
        "local.retention.bytes", "1048576",
        "retention.ms", "-1",
        "index.interval.bytes", "4096");
    List<TopicPartition> partitions = new ArrayList<>();
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
      for (String codec : CODECS) create(admin, "codec-" + codec, 1, tiered, Map.of(), partitions);
      create(admin, "codecs.mixed", 2, tiered, Map.of(), partitions);
      create(admin, "recompressed", 1, tiered, Map.of("compression.type", "zstd"), partitions);
      create(admin, "append-time", 1, tiered, Map.of("message.timestamp.type", "LogAppendTime"), partitions);
      create(admin, "transactions", 2, tiered, Map.of(), partitions);

      for (String codec : CODECS) plain("codec-" + codec, 1, records, codec);
      plain("codecs.mixed", 2, 2 * records, CODECS);
      plain("recompressed", 1, records, "lz4");
      plain("append-time", 1, records, "snappy");
      transactions("transactions", 2, 3 * records);
      awaitTiered(admin, partitions);
    }
  }

  private void create(
      Admin admin, String topic, int count, Map<String, String> base, Map<String, String> more, List<TopicPartition> all)
      throws Exception {
    Map<String, String> config = new HashMap<>(base);
    config.putAll(more);
    admin.createTopics(List.of(new NewTopic(topic, count, (short) 1).configs(config))).all().get();
    int[] ids = new int[versions.length];
    Path folder = Files.createDirectories(schemas.resolve(topic + "-value"));
    for (int at = 0; at < ids.length; at++) {
      ids[at] = ++lastSchemaId;
      Files.writeString(folder.resolve((at + 1) + "-" + ids[at] + ".avsc"), versions[at].toString(true));
    }
    idsOfTopic.put(topic, ids);
    for (int partition = 0; partition < count; partition++) all.add(new TopicPartition(topic, partition));
    System.out.println(topic);
  }

  private KafkaProducer<byte[], byte[]> producer(String codec, Map<String, Object> more) {
    Map<String, Object> config = new HashMap<>(more);
    config.put("bootstrap.servers", bootstrap);
    config.put("compression.type", codec);
    config.putIfAbsent("linger.ms", "5");
    return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
  }

  /** The producers (one a codec) take turns of fifty records. */
  private void plain(String topic, int partitions, int records, String... codecs) throws Exception {
    List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
    for (String codec : codecs) producers.add(producer(codec, Map.of("enable.idempotence", !codec.equals("gzip"))));
    for (int at = 0; at < records; at++) {
      producers.get(at / 50 % codecs.length).send(record(topic, at % partitions, at, records));
    }
    for (var producer : producers) producer.close();
  }

  /** Three transactional producers whose transactions overlap, some of them aborted; others write between them. */
  private void transactions(String topic, int partitions, int records) throws Exception {
    List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
    for (int at = 0; at < 3; at++) {
      var producer = producer(CODECS[at + 2], Map.of("transactional.id", "peer-" + at, "linger.ms", "0"));
      producer.initTransactions();
      producers.add(producer);
    }
    var outsider = producer("none", Map.of());
    int[] open = new int[3];
    int written = 0;
    for (int round = 0; written < records; round++) {
      int at = round % 3;
      if (open[at] == 0) producers.get(at).beginTransaction();
      for (int i = 0; i < 40; i++, written++) {
        producers.get(at).send(record(topic, written % partitions, written, records));
        open[at]++;
      }
      if (round % 5 == 0) outsider.send(record(topic, round % partitions, written++, records)).get();
      if (round % 4 != 1) {
        int ended = random.nextInt(3);
        if (open[ended] > 0) {
          if (random.nextInt(3) == 0) producers.get(ended).abortTransaction();
          else producers.get(ended).commitTransaction();
          open[ended] = 0;
        }
      }
    }
    for (int at = 0; at < 3; at++) {
      if (open[at] > 0) producers.get(at).commitTransaction();
      producers.get(at).close();
    }
    outsider.close();
  }

  private ProducerRecord<byte[], byte[]> record(String topic, int partition, int at, int records) throws Exception {
    RecordHeaders headers = new RecordHeaders();
    if (at % 5 == 0) headers.add("h", utf8("v" + at)).add("h", utf8("again")).add("none", null).add("", new byte[0]);
    byte[] key = at % 7 == 0 ? null : utf8("k" + at % 997);
    byte[] value = at % 11 == 0 ? null : encode(topic, at, 2 * at < records ? 0 : 1);
    return new ProducerRecord<>(topic, partition, 1_750_000_000_000L + at * 10L, key, value, headers);
  }

  private byte[] encode(String topic, int at, int version) throws Exception {
    Schema schema = versions[version];
    GenericRecord event = new GenericData.Record(schema);
    event.put("id", at * 1_000_003L - (at % 3 == 0 ? Long.MAX_VALUE : 0));
    event.put("name", "évènement " + at);
    event.put("kind", new GenericData.EnumSymbol(schema.getField("kind").schema(), "ABC".substring(at % 3, at % 3 + 1)));
    BigDecimal price = new BigDecimal(new BigInteger(60, random), 4).negate();
    event.put("price", ByteBuffer.wrap(price.unscaledValue().toByteArray()));
    event.put("at", 1_750_000_000_000_000L + at * 1001L);
    event.put("day", at % 4 == 0 ? null : at);
    event.put("ratio", at % 101 == 0 ? Double.NaN : at % 103 == 0 ? -0.0 : random.nextGaussian());
    List<Boolean> flags = new ArrayList<>();
    for (int i = 0; i < at % 4; i++) flags.add(random.nextBoolean());
    event.put("flags", flags);
    Map<String, Object> labels = new HashMap<>();
    for (int i = 0; i < at % 3; i++) labels.put("l" + i, random.nextBoolean() ? null : "x" + at);
    event.put("labels", labels);
    if (at % 2 == 0) {
      Schema type = schema.getField("parent").schema().getTypes().get(1);
      GenericRecord parent = new GenericData.Record(type);
      parent.put("id", at / 2);
      parent.put("weight", random.nextFloat());
      event.put("parent", parent);
    }
    byte[] payload = new byte[300 + random.nextInt(300)];
    random.nextBytes(payload);
    event.put("payload", ByteBuffer.wrap(payload));
    if (version == 1) event.put("note", at % 2 == 0 ? "note " + at : null);

    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(ByteBuffer.allocate(5).put((byte) 0).putInt(idsOfTopic.get(topic)[version]).array());
    BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
    new GenericDatumWriter<GenericRecord>(schema).write(event, encoder);
    encoder.flush();
    return out.toByteArray();
  }

  /** Waits until every partition has tiered segments, and nothing more has been tiered for five seconds. */
  private static void awaitTiered(Admin admin, List<TopicPartition> partitions) throws Exception {
    Map<TopicPartition, OffsetSpec> ask = new HashMap<>();
    for (TopicPartition partition : partitions) ask.put(partition, OffsetSpec.latestTiered());
    Map<TopicPartition, Long> before = Map.of();
    int quiet = 0;
    for (int tries = 0; tries < 120 && quiet < 5; tries++) {
      Thread.sleep(1000);
      Map<TopicPartition, Long> now = new HashMap<>();
      for (var entry : admin.listOffsets(ask).all().get().entrySet()) now.put(entry.getKey(), entry.getValue().offset());
      boolean all = now.values().stream().allMatch(offset -> offset > 0);
      quiet = all && now.equals(before) ? quiet + 1 : 0;
      before = now;
    }
    if (quiet < 5) throw new IllegalStateException("not tiered after two minutes: " + before);
    System.err.println("latest tiered offsets: " + before);
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
