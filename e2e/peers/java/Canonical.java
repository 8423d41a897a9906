import java.io.BufferedWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The canonical form of rows, as ../python/canonical.py writes it (../README.md). */
final class Canonical {
  private record Row(int partition, long offset, String line) {}

  private final List<Row> rows = new ArrayList<>();

  void add(int partition, long offset, Map<String, Object> row) {
    StringBuilder out = new StringBuilder();
    append(out, row);
    rows.add(new Row(partition, offset, out.toString()));
  }

  int write(Path path) throws Exception {
    rows.sort(Comparator.comparingInt(Row::partition).thenComparingLong(Row::offset));
    try (BufferedWriter out = Files.newBufferedWriter(path)) {
      for (Row row : rows) {
        out.write(row.line);
        out.write('\n');
      }
    }
    return rows.size();
  }

  static String floating(double value) {
    return Double.isNaN(value) ? "NaN" : HexFormat.of().toHexDigits(Double.doubleToRawLongBits(value));
  }

  static String binary(byte[] value) {
    return "x" + HexFormat.of().formatHex(value);
  }

  /** Pairs sorted by key, in the order of their UTF-8 bytes. */
  static List<Object> pairs(List<Map.Entry<String, Object>> entries) {
    entries.sort((a, b) -> Arrays.compareUnsigned(utf8(a.getKey()), utf8(b.getKey())));
    List<Object> pairs = new ArrayList<>();
    for (Map.Entry<String, Object> entry : entries) pairs.add(Arrays.asList(entry.getKey(), entry.getValue()));
    return pairs;
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** Maps with string keys (sorted), lists, strings, numbers without fractions, booleans, null. */
  private static void append(StringBuilder out, Object value) {
    if (value instanceof Map<?, ?> map) {
      char before = '{';
      for (Map.Entry<?, ?> entry : new TreeMap<>(map).entrySet()) {
        out.append(before);
        text(out, (String) entry.getKey());
        out.append(':');
        append(out, entry.getValue());
        before = ',';
      }
      out.append(before == '{' ? "{}" : "}");
    } else if (value instanceof List<?> list) {
      out.append('[');
      for (int at = 0; at < list.size(); at++) {
        if (at > 0) out.append(',');
        append(out, list.get(at));
      }
      out.append(']');
    } else if (value instanceof String text) {
      text(out, text);
    } else {
      out.append(value);
    }
  }

  private static void text(StringBuilder out, String text) {
    out.append('"');
    for (int at = 0; at < text.length(); at++) {
      char c = text.charAt(at);
      int escape = "\"\\\b\f\n\r\t".indexOf(c);
      if (escape >= 0) out.append('\\').append("\"\\bfnrt".charAt(escape));
      else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
      else out.append(c);
    }
    out.append('"');
  }
}
