import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.AbstractMap.SimpleEntry;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import scala.jdk.javaapi.CollectionConverters;

/**
 * ReadSpark (FILE OUT)…: the canonical rows of Parquet files by Spark, with its vectorised reader: one that falls back to
 * rows fails. Where a file has columns without nesting, Iceberg's own vectorised reader reads those too, and must give the
 * same.
 */
public final class ReadSpark {
  public static void main(String[] args) throws Exception {
    // A table that replaced another would not have the file's field ids.
    Path warehouse = Files.createTempDirectory(Path.of(args[1]).toAbsolutePath().getParent(), "spark-warehouse-");
    SparkSession spark =
        SparkSession.builder()
            .master("local[1]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.datetime.java8API.enabled", "true")
            .config("spark.sql.parquet.enableVectorizedReader", "true")
            .config("spark.sql.parquet.enableNestedColumnVectorizedReader", "true")
            .config("spark.sql.parquet.fieldId.read.enabled", "true")
            // More columns than this are read row by row.
            .config("spark.sql.codegen.maxFields", "10000")
            .config("spark.sql.shuffle.partitions", "1")
            // One task a file: rows come in their order.
            .config("spark.sql.files.maxPartitionBytes", "8g")
            .config("spark.sql.catalog.local", "org.apache.iceberg.spark.SparkCatalog")
            .config("spark.sql.catalog.local.type", "hadoop")
            .config("spark.sql.catalog.local.warehouse", warehouse.toUri().toString())
            .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
            .getOrCreate();
    long rows = 0;
    for (int i = 0; i < args.length; i += 2) {
      Dataset<Row> file = spark.read().parquet(args[i]);
      String plan = file.queryExecution().explainString(org.apache.spark.sql.execution.ExplainMode.fromString("formatted"));
      if (!plan.contains("Batched: true")) throw new IllegalStateException(args[i] + " is not read in batches:\n" + plan);
      Canonical out = new Canonical();
      List<Map<String, Object>> flat = new ArrayList<>();
      List<String> flatNames = flatColumns(file.schema());
      for (Iterator<Row> it = file.toLocalIterator(); it.hasNext(); ) {
        Row row = it.next();
        Map<String, Object> values = struct(row);
        Row kafka = row.getStruct(row.fieldIndex("_kafka"));
        out.add(kafka.getInt(kafka.fieldIndex("partition")), kafka.getLong(kafka.fieldIndex("offset")), values);
        Map<String, Object> part = new LinkedHashMap<>();
        for (String name : flatNames) part.put(name, values.get(name));
        flat.add(part);
      }
      rows += out.write(Path.of(args[i + 1]));
      if (!flatNames.isEmpty()) compareWithIceberg(spark, args[i], flatNames, flat, i);
    }
    System.out.printf("{\"rows\": %d}%n", rows);
    spark.stop();
  }

  private static List<String> flatColumns(StructType type) {
    List<String> names = new ArrayList<>();
    for (StructField field : type.fields()) {
      DataType kind = field.dataType();
      if (!(kind instanceof StructType || kind instanceof ArrayType || kind instanceof MapType)) names.add(field.name());
    }
    return names;
  }

  private static void compareWithIceberg(
      SparkSession spark, String path, List<String> names, List<Map<String, Object>> expected, int n) {
    String table = "local.bench.t" + n;
    spark.read().parquet(path).limit(0).writeTo(table).tableProperty("read.parquet.vectorization.enabled", "true").createOrReplace();
    spark.sql("CALL local.system.add_files(table => 'bench.t" + n + "', source_table => '`parquet`.`" + path + "`')");
    Dataset<Row> read = spark.table(table).selectExpr(names.stream().map(name -> "`" + name + "`").toArray(String[]::new));
    if (!read.queryExecution().executedPlan().toString().contains("ColumnarToRow"))
      throw new IllegalStateException(path + " is not read in batches by Iceberg");
    int at = 0;
    for (Iterator<Row> it = read.toLocalIterator(); it.hasNext(); at++) {
      Map<String, Object> found = struct(it.next());
      if (at >= expected.size() || !found.equals(expected.get(at)))
        throw new IllegalStateException(path + ", row " + at + ": Iceberg's reader gives " + found);
    }
    if (at != expected.size()) throw new IllegalStateException(path + ": Iceberg's reader gives " + at + " rows");
  }

  private static Map<String, Object> struct(Row row) {
    Map<String, Object> values = new LinkedHashMap<>();
    StructField[] fields = row.schema().fields();
    for (int i = 0; i < fields.length; i++) values.put(fields[i].name(), value(row.get(i)));
    return values;
  }

  private static Object value(Object value) {
    if (value instanceof Row row) return struct(row);
    if (value instanceof scala.collection.Map<?, ?> map) {
      List<Map.Entry<String, Object>> entries = new ArrayList<>();
      CollectionConverters.asJava(map).forEach((key, item) -> entries.add(new SimpleEntry<>((String) key, value(item))));
      return Canonical.pairs(entries);
    }
    if (value instanceof scala.collection.Seq<?> list) {
      List<Object> items = new ArrayList<>();
      for (Object item : CollectionConverters.asJava(list)) items.add(value(item));
      return items;
    }
    if (value instanceof Instant instant) return ChronoUnit.MICROS.between(Instant.EPOCH, instant);
    if (value instanceof LocalDateTime time)
      return ChronoUnit.MICROS.between(LocalDateTime.ofEpochSecond(0, 0, ZoneOffset.UTC), time);
    if (value instanceof LocalDate date) return date.toEpochDay();
    if (value instanceof BigDecimal decimal) return decimal.toPlainString();
    if (value instanceof Float number) return Canonical.floating(number);
    if (value instanceof Double number) return Canonical.floating(number);
    if (value instanceof byte[] bytes) return Canonical.binary(bytes);
    return value;
  }
}
