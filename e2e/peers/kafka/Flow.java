import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Flow BOOTSTRAP SCHEMA_FOLDER: a line "MILLIS RECORDS SEED TOPIC:PARTITIONS …" on standard input makes so many records
 * flow into these topics for about so long: interleaved transactions over all of them, of three producers, some aborted,
 * some cut off by the end of their producer (whose successor fences it); others write between them. Topics that are not
 * there are made, schemas into the folder. Once everything is tiered, a line of JSON says what there is, by topic: rows
 * (committed records below the tiered end, since the topic began) and ends (that end of each partition). The last
 * record of each partition stays local: it only makes the segment before it roll. A line "delete TOPIC …" deletes them.
 */
public final class Flow {
  private static final int SEGMENT_MS = 700;
  private static final String[] CODECS = {"zstd", "lz4", "snappy"};
  private static final String FIELDS =
      """
      {"name": "id", "type": "long"},
      {"name": "name", "type": ["null", "string"], "default": null},
      {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B", "C"]}},
      {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4}},
      {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
      {"name": "ratios", "type": {"type": "array", "items": "double"}},
      {"name": "labels", "type": {"type": "map", "values": ["null", "string"]}},
      {"name": "payload", "type": "bytes"}
      """;
  private static final String ADDED = ", {\"name\": \"note\", \"type\": [\"null\", \"string\"], \"default\": null}";
  private static final Schema[] VERSIONS = {schema(FIELDS), schema(FIELDS + ADDED)};

  private final String bootstrap;
  private final Path schemas;
  private final Admin admin;
  private final KafkaProducer<byte[], byte[]> outsider;
  private final Transaction[] transactions = new Transaction[CODECS.length];
  private final Map<String, Topic> topics = new HashMap<>();
  private int lastSchemaId = 100;
  private long lastRecord;

  /** What a topic has: its schemas' ids, and committed rows with the tail record that is not tiered yet. */
  private static final class Topic {
    final int[] schemaIds = new int[VERSIONS.length];
    long rows;
    long tails;

    void countTails() {
      rows += tails;
      tails = 0;
    }
  }

  /** A producer and what its open transaction has written, by topic. */
  private static final class Transaction {
    KafkaProducer<byte[], byte[]> producer;
    final Map<Topic, Integer> open = new HashMap<>();
  }

  private static Schema schema(String fields) {
    return new Schema.Parser().parse("{\"type\": \"record\", \"name\": \"Event\", \"fields\": [" + fields + "]}");
  }

  private Flow(String bootstrap, Path schemas) {
    this.bootstrap = bootstrap;
    this.schemas = schemas;
    admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    outsider = new KafkaProducer<>(config("gzip"), new ByteArraySerializer(), new ByteArraySerializer());
    for (int at = 0; at < transactions.length; at++) {
      transactions[at] = new Transaction();
      begin(at);
    }
  }

  public static void main(String[] args) throws Exception {
    Flow flow = new Flow(args[0], Path.of(args[1]));
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = lines.readLine()) != null; ) {
      String[] words = line.split(" ");
      System.out.println(words[0].equals("delete") ? flow.delete(words) : flow.run(words));
    }
    System.exit(0);
  }

  private String delete(String[] words) throws Exception {
    List<String> names = List.of(words).subList(1, words.length);
    admin.deleteTopics(names).all().get();
    topics.keySet().removeAll(names);
    return "{}";
  }

  private Map<String, Object> config(String codec) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", bootstrap);
    config.put("compression.type", codec);
    config.put("linger.ms", "0");
    return config;
  }

  /** A new producer under the transactional id: whatever an earlier one has left open is aborted by the broker. */
  private void begin(int at) {
    Map<String, Object> config = config(CODECS[at]);
    config.put("transactional.id", "flow-" + at);
    transactions[at].producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    transactions[at].producer.initTransactions();
  }

  private String run(String[] words) throws Exception {
    long millis = Long.parseLong(words[0]);
    int records = Integer.parseInt(words[1]);
    Random random = new Random(Long.parseLong(words[2]));
    List<TopicPartition> partitions = new ArrayList<>();
    for (int at = 3; at < words.length; at++) {
      int colon = words[at].lastIndexOf(':');
      String topic = words[at].substring(0, colon);
      int count = Integer.parseInt(words[at].substring(colon + 1));
      if (!topics.containsKey(topic)) create(topic, count);
      topics.get(topic).countTails();
      for (int partition = 0; partition < count; partition++) partitions.add(new TopicPartition(topic, partition));
    }
    long started = System.nanoTime();
    for (int written = 0; written < records; ) {
      int burst = Math.min(1 + random.nextInt(40), records - written);
      if (random.nextInt(6) == 0) write(outsider, null, partitions, burst, random);
      else write(null, transactions[random.nextInt(transactions.length)], partitions, burst, random);
      written += burst;
      if (random.nextInt(3) == 0) end(random.nextInt(transactions.length), random);
      long aheadMs = written * millis / records - (System.nanoTime() - started) / 1_000_000;
      if (aheadMs > 0) Thread.sleep(aheadMs);
    }
    for (int at = 0; at < transactions.length; at++) end(at, random);
    outsider.flush();
    return awaitTiered(partitions);
  }

  private void create(String topic, int count) throws Exception {
    Map<String, String> config = Map.of(
        "remote.storage.enable", "true",
        "segment.ms", String.valueOf(SEGMENT_MS),
        "retention.ms", "-1",
        "index.interval.bytes", "2048");
    Topic made = new Topic();
    Path folder = Files.createDirectories(schemas.resolve(topic + "-value"));
    for (int at = 0; at < VERSIONS.length; at++) {
      made.schemaIds[at] = ++lastSchemaId;
      Path file = folder.resolve((at + 1) + "-" + lastSchemaId + ".avsc");
      Path unfinished = folder.resolve("unfinished");
      Files.writeString(unfinished, VERSIONS[at].toString());
      Files.move(unfinished, file);
    }
    admin.createTopics(List.of(new NewTopic(topic, count, (short) 1).configs(config))).all().get();
    topics.put(topic, made);
  }

  /** A burst by the plain producer or in a transaction. */
  private void write(
      KafkaProducer<byte[], byte[]> plain, Transaction transaction, List<TopicPartition> to, int burst, Random random)
      throws Exception {
    if (transaction != null && transaction.open.isEmpty()) transaction.producer.beginTransaction();
    for (int i = 0; i < burst; i++) {
      TopicPartition partition = to.get(random.nextInt(to.size()));
      Topic topic = topics.get(partition.topic());
      (plain != null ? plain : transaction.producer).send(record(partition, topic, random));
      if (transaction != null) transaction.open.merge(topic, 1, Integer::sum);
      else topic.rows++;
    }
  }

  private void end(int at, Random random) {
    Transaction transaction = transactions[at];
    if (transaction.open.isEmpty()) return;
    switch (random.nextInt(10)) {
      case 0, 1, 2 -> transaction.producer.abortTransaction();
      case 3 -> {
        transaction.producer.flush();
        transaction.producer.close(Duration.ZERO);
        begin(at);
      }
      default -> {
        transaction.producer.commitTransaction();
        transaction.open.forEach((topic, count) -> topic.rows += count);
      }
    }
    transaction.open.clear();
  }

  private ProducerRecord<byte[], byte[]> record(TopicPartition to, Topic topic, Random random) throws Exception {
    long at = lastRecord++;
    RecordHeaders headers = new RecordHeaders();
    if (at % 5 == 0) headers.add("h", utf8("v" + at)).add("none", null);
    byte[] key = at % 7 == 0 ? null : utf8("k" + random.nextInt(500));
    byte[] value = at % 11 == 0 ? null : encode(topic, at, random);
    return new ProducerRecord<>(to.topic(), to.partition(), null, key, value, headers);
  }

  private byte[] encode(Topic topic, long at, Random random) throws Exception {
    int version = random.nextInt(VERSIONS.length);
    Schema schema = VERSIONS[version];
    GenericRecord event = new GenericData.Record(schema);
    event.put("id", at * 1_000_003L - (at % 3 == 0 ? Long.MAX_VALUE : 0));
    event.put("name", at % 9 == 0 ? null : "évènement " + at);
    event.put("kind", new GenericData.EnumSymbol(schema.getField("kind").schema(), "ABC".charAt(random.nextInt(3)) + ""));
    event.put("price", ByteBuffer.wrap(new BigInteger(60, random).negate().toByteArray()));
    event.put("at", 1_750_000_000_000_000L + at * 1001);
    List<Double> ratios = new ArrayList<>();
    for (int i = random.nextInt(4); i > 0; i--) ratios.add(random.nextGaussian());
    event.put("ratios", ratios);
    Map<String, Object> labels = new HashMap<>();
    for (int i = random.nextInt(3); i > 0; i--) labels.put("l" + i, random.nextBoolean() ? null : "x" + at);
    event.put("labels", labels);
    byte[] payload = new byte[100 + random.nextInt(200)];
    random.nextBytes(payload);
    event.put("payload", ByteBuffer.wrap(payload));
    if (version == 1) event.put("note", at % 2 == 0 ? "note " + at : null);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(ByteBuffer.allocate(5).put((byte) 0).putInt(topic.schemaIds[version]).array());
    BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
    new GenericDatumWriter<GenericRecord>(schema).write(event, encoder);
    encoder.flush();
    return out.toByteArray();
  }

  private Map<TopicPartition, ListOffsetsResultInfo> offsets(List<TopicPartition> of, OffsetSpec spec)
      throws Exception {
    Map<TopicPartition, OffsetSpec> ask = new HashMap<>();
    for (TopicPartition partition : of) ask.put(partition, spec);
    return admin.listOffsets(ask).all().get();
  }

  /** Lets every segment roll, and waits until what was there before is tiered. A marker may come late: then once more. */
  private String awaitTiered(List<TopicPartition> partitions) throws Exception {
    Map<TopicPartition, ListOffsetsResultInfo> ends = null;
    for (int tries = 0; ends == null; tries++) {
      if (tries == 12) throw new IllegalStateException("not tiered within a minute");
      Thread.sleep(SEGMENT_MS + 50);
      ends = rolled(partitions);
    }
    Map<String, Map<Integer, Long>> byTopic = new LinkedHashMap<>();
    ends.forEach((partition, end) ->
        byTopic.computeIfAbsent(partition.topic(), name -> new TreeMap<>()).put(partition.partition(), end.offset()));
    StringBuilder out = new StringBuilder("{");
    byTopic.forEach((name, offsets) -> {
      out.append(out.length() > 1 ? "," : "").append('"').append(name).append("\":{\"rows\":");
      out.append(topics.get(name).rows).append(",\"ends\":{");
      offsets.forEach((partition, end) -> out.append('"').append(partition).append("\":").append(end).append(','));
      out.setLength(out.length() - 1);
      out.append("}}");
    });
    return out.append('}').toString();
  }

  /** The ends of the partitions, one record before what they have now, once that is tiered; null after 5 seconds. */
  private Map<TopicPartition, ListOffsetsResultInfo> rolled(List<TopicPartition> partitions) throws Exception {
    Map<TopicPartition, ListOffsetsResultInfo> ends = offsets(partitions, OffsetSpec.latest());
    for (TopicPartition partition : partitions) topics.get(partition.topic()).countTails();
    for (TopicPartition partition : partitions) {
      Topic topic = topics.get(partition.topic());
      outsider.send(record(partition, topic, new Random(lastRecord))).get();
      topic.tails++;
    }
    for (int looks = 0; looks < 50; looks++, Thread.sleep(100)) {
      Map<TopicPartition, ListOffsetsResultInfo> tiered = offsets(partitions, OffsetSpec.latestTiered());
      if (partitions.stream().allMatch(one -> tiered.get(one).offset() >= ends.get(one).offset() - 1)) return ends;
    }
    return null;
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
