import java.io.File;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.record.internal.FileRecords;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.storage.internals.checkpoint.LeaderEpochCheckpointFile;
import org.apache.kafka.storage.internals.log.LogDirFailureChannel;
import org.apache.kafka.storage.internals.log.OffsetIndex;
import org.apache.kafka.storage.internals.log.OffsetPosition;
import org.apache.kafka.storage.internals.log.ProducerStateManager;
import org.apache.kafka.storage.internals.log.TimeIndex;
import org.apache.kafka.storage.internals.log.TimestampOffset;

/**
 * CheckSegments TIERED_FOLDER: every segment read by the broker's own classes, as DumpLogSegments --deep-iteration does
 * (that tool takes no tiered names, and is not published for this release): batches valid, every record readable, every
 * entry of both indexes true, producer snapshot and leader epochs readable. Prints "segments records index-entries".
 */
public final class CheckSegments {
  public static void main(String[] args) throws Exception {
    int segments = 0;
    long records = 0;
    long entries = 0;
    for (File folder : new File(args[0]).listFiles(file -> file.isDirectory() && !file.getName().startsWith("."))) {
      File[] logs = folder.listFiles((dir, name) -> name.endsWith(".log"));
      Arrays.sort(logs);
      long next = -1;
      for (File log : logs) {
        String path = log.getPath().substring(0, log.getPath().length() - ".log".length());
        long base = Long.parseLong(log.getName().substring(0, 20));
        if (next >= 0 && base != next) throw new IllegalStateException(log + " begins at " + base + ", not " + next);
        Map<Integer, Long> lastOffsets = new HashMap<>();
        Map<Long, Long> timestamps = new HashMap<>();
        try (FileRecords file = FileRecords.open(log, false)) {
          int size = 0;
          next = base;
          for (var batch : file.batches()) {
            batch.ensureValid();
            if (batch.baseOffset() < next) throw new IllegalStateException(log + ": offset " + batch.baseOffset() + " after " + next);
            lastOffsets.put(batch.position(), batch.lastOffset());
            for (Record record : batch) {
              record.ensureValid();
              timestamps.put(record.offset(), batch.maxTimestamp());
              records++;
            }
            next = batch.nextOffset();
            size += batch.sizeInBytes();
          }
          if (size != log.length()) throw new IllegalStateException(log + ": " + (log.length() - size) + " bytes too many");
        }
        entries += checkIndexes(path, base, lastOffsets, timestamps);
        ProducerStateManager.readSnapshot(new File(path + ".snapshot"));
        if (new LeaderEpochCheckpointFile(new File(path + ".leader_epoch_checkpoint"), new LogDirFailureChannel(1)).read().isEmpty()) {
          throw new IllegalStateException(path + ": no leader epoch");
        }
        segments++;
      }
    }
    System.out.println(segments + " " + records + " " + entries);
  }

  private static int checkIndexes(String path, long base, Map<Integer, Long> lastOffsets, Map<Long, Long> timestamps)
      throws Exception {
    int entries = 0;
    try (OffsetIndex index = new OffsetIndex(new File(path + ".index"), base, -1, false)) {
      index.sanityCheck();
      for (int at = 0; at < index.entries(); at++, entries++) {
        OffsetPosition entry = index.entry(at);
        if (!Long.valueOf(entry.offset()).equals(lastOffsets.get(entry.position()))) {
          throw new IllegalStateException(path + ".index: " + entry + ", the batch there ends at " + lastOffsets.get(entry.position()));
        }
      }
    }
    try (TimeIndex index = new TimeIndex(new File(path + ".timeindex"), base, -1, false)) {
      index.sanityCheck();
      for (int at = 0; at < index.entries(); at++, entries++) {
        TimestampOffset entry = index.entry(at);
        if (!Long.valueOf(entry.timestamp()).equals(timestamps.get(entry.offset()))) {
          throw new IllegalStateException(path + ".timeindex: " + entry + ", the batch there has " + timestamps.get(entry.offset()));
        }
      }
    }
    return entries;
  }
}
