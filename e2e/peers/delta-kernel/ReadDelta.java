import io.delta.kernel.Scan;
import io.delta.kernel.Snapshot;
import io.delta.kernel.TableManager;
import io.delta.kernel.data.ArrayValue;
import io.delta.kernel.data.ColumnVector;
import io.delta.kernel.data.FilteredColumnarBatch;
import io.delta.kernel.data.MapValue;
import io.delta.kernel.data.Row;
import io.delta.kernel.defaults.engine.DefaultEngine;
import io.delta.kernel.engine.Engine;
import io.delta.kernel.internal.InternalScanFileUtils;
import io.delta.kernel.internal.data.ScanStateRow;
import io.delta.kernel.internal.util.Utils;
import io.delta.kernel.types.ArrayType;
import io.delta.kernel.types.BinaryType;
import io.delta.kernel.types.BooleanType;
import io.delta.kernel.types.ByteType;
import io.delta.kernel.types.DataType;
import io.delta.kernel.types.DateType;
import io.delta.kernel.types.DecimalType;
import io.delta.kernel.types.DoubleType;
import io.delta.kernel.types.FloatType;
import io.delta.kernel.types.IntegerType;
import io.delta.kernel.types.LongType;
import io.delta.kernel.types.MapType;
import io.delta.kernel.types.ShortType;
import io.delta.kernel.types.StringType;
import io.delta.kernel.types.StructField;
import io.delta.kernel.types.StructType;
import io.delta.kernel.types.TimestampNTZType;
import io.delta.kernel.types.TimestampType;
import io.delta.kernel.utils.FileStatus;
import java.nio.file.Path;
import java.util.AbstractMap.SimpleEntry;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;

/** ReadDelta LOCATION OUT: the canonical rows of a Delta table, by Delta Kernel. */
public final class ReadDelta {
  public static void main(String[] args) throws Exception {
    Engine engine = DefaultEngine.create(new Configuration());
    Snapshot snapshot = TableManager.loadSnapshot(args[0]).build(engine);
    StructType schema = snapshot.getSchema();
    Scan scan = snapshot.getScanBuilder().build();
    Row state = scan.getScanState(engine);
    StructType physical = ScanStateRow.getPhysicalDataReadSchema(state);
    Canonical out = new Canonical();
    try (var batches = scan.getScanFiles(engine)) {
      while (batches.hasNext()) {
        try (var files = batches.next().getRows()) {
          while (files.hasNext()) readFile(engine, state, physical, schema, files.next(), out);
        }
      }
    }
    System.out.printf("{\"rows\": %d, \"version\": %d}%n", out.write(Path.of(args[1])), snapshot.getVersion());
  }

  private static void readFile(
      Engine engine, Row state, StructType physical, StructType schema, Row file, Canonical out) throws Exception {
    FileStatus status = InternalScanFileUtils.getAddFileStatus(file);
    var data =
        engine
            .getParquetHandler()
            .readParquetFiles(Utils.singletonCloseableIterator(status), physical, Optional.empty())
            .map(result -> result.getData());
    try (var logical = Scan.transformPhysicalData(engine, state, file, data)) {
      while (logical.hasNext()) {
        FilteredColumnarBatch batch = logical.next();
        try (var rows = batch.getRows()) {
          while (rows.hasNext()) {
            Row row = rows.next();
            Row kafka = row.getStruct(schema.indexOf("_kafka"));
            StructType kafkaType = kafka.getSchema();
            int partition = kafka.getInt(kafkaType.indexOf("partition"));
            out.add(partition, kafka.getLong(kafkaType.indexOf("offset")), struct(row, schema));
          }
        }
      }
    }
  }

  private static Map<String, Object> struct(Row row, StructType type) {
    Map<String, Object> fields = new LinkedHashMap<>();
    for (int at = 0; at < type.length(); at++) {
      StructField field = type.at(at);
      fields.put(field.getName(), row.isNullAt(at) ? null : ofRow(row, at, field.getDataType()));
    }
    return fields;
  }

  private static Object ofRow(Row row, int at, DataType type) {
    if (type instanceof BooleanType) return row.getBoolean(at);
    if (type instanceof ByteType) return row.getByte(at);
    if (type instanceof ShortType) return row.getShort(at);
    if (type instanceof IntegerType || type instanceof DateType) return row.getInt(at);
    if (type instanceof LongType || type instanceof TimestampType || type instanceof TimestampNTZType) {
      return row.getLong(at);
    }
    if (type instanceof FloatType) return Canonical.floating(row.getFloat(at));
    if (type instanceof DoubleType) return Canonical.floating(row.getDouble(at));
    if (type instanceof DecimalType decimal) return row.getDecimal(at).setScale(decimal.getScale()).toPlainString();
    if (type instanceof StringType) return row.getString(at);
    if (type instanceof BinaryType) return Canonical.binary(row.getBinary(at));
    if (type instanceof StructType inner) return struct(row.getStruct(at), inner);
    if (type instanceof ArrayType array) return list(row.getArray(at), array);
    if (type instanceof MapType map) return map(row.getMap(at), map);
    throw new IllegalArgumentException("no canonical form for Delta type " + type);
  }

  private static List<Object> list(ArrayValue array, ArrayType type) {
    List<Object> items = new ArrayList<>();
    for (int at = 0; at < array.getSize(); at++) items.add(ofVector(array.getElements(), at, type.getElementType()));
    return items;
  }

  private static List<Object> map(MapValue map, MapType type) {
    List<Map.Entry<String, Object>> entries = new ArrayList<>();
    for (int at = 0; at < map.getSize(); at++) {
      entries.add(new SimpleEntry<>(map.getKeys().getString(at), ofVector(map.getValues(), at, type.getValueType())));
    }
    return Canonical.pairs(entries);
  }

  private static Object ofVector(ColumnVector vector, int at, DataType type) {
    if (vector.isNullAt(at)) return null;
    if (type instanceof BooleanType) return vector.getBoolean(at);
    if (type instanceof ByteType) return vector.getByte(at);
    if (type instanceof ShortType) return vector.getShort(at);
    if (type instanceof IntegerType || type instanceof DateType) return vector.getInt(at);
    if (type instanceof LongType || type instanceof TimestampType || type instanceof TimestampNTZType) {
      return vector.getLong(at);
    }
    if (type instanceof FloatType) return Canonical.floating(vector.getFloat(at));
    if (type instanceof DoubleType) return Canonical.floating(vector.getDouble(at));
    if (type instanceof DecimalType decimal) return vector.getDecimal(at).setScale(decimal.getScale()).toPlainString();
    if (type instanceof StringType) return vector.getString(at);
    if (type instanceof BinaryType) return Canonical.binary(vector.getBinary(at));
    if (type instanceof ArrayType array) return list(vector.getArray(at), array);
    if (type instanceof MapType map) return map(vector.getMap(at), map);
    if (type instanceof StructType struct) {
      Map<String, Object> fields = new LinkedHashMap<>();
      for (int child = 0; child < struct.length(); child++) {
        StructField field = struct.at(child);
        fields.put(field.getName(), ofVector(vector.getChild(child), at, field.getDataType()));
      }
      return fields;
    }
    throw new IllegalArgumentException("no canonical form for Delta type " + type);
  }
}
