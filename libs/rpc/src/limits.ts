import type * as grpc from '@grpc/grpc-js';

/** Set on purpose: a page of the ledger is about 2 MB and record batches about 1 MB a message; larger is a defect. */
export const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
/** A Kafka record batch may be as large as a broker lets it (message.max.bytes); segment-reader sends whole batches. */
export const MAX_BATCH_MESSAGE_BYTES = 256 * 1024 * 1024;

/** Calls of one server at a time. */
export const MAX_CALLS = 1_000;

const maxBytes = (typeName: string) =>
  typeName === 'millrace.v1.SegmentReaderService' ? MAX_BATCH_MESSAGE_BYTES : MAX_MESSAGE_BYTES;

/** Keep-alive finds dead peers within 20 s; the retry policy covers calls that a restarting server refused. */
export const channelOptions = (typeName: string): grpc.ClientOptions => ({
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': maxBytes(typeName),
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.service_config': JSON.stringify({
    loadBalancingConfig: [{ round_robin: {} }],
    methodConfig: [
      {
        name: [{ service: typeName }],
        retryPolicy: {
          maxAttempts: 4,
          initialBackoff: '0.1s',
          maxBackoff: '2s',
          backoffMultiplier: 2,
          retryableStatusCodes: ['UNAVAILABLE'],
        },
      },
    ],
  }),
});

export const serverOptions: grpc.ServerOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_BATCH_MESSAGE_BYTES,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_concurrent_streams': 1_000,
};

/** Characters of a text in a request whose field TEXT_LENGTHS does not name. */
export const MAX_TEXT = 2_048;

/** Characters of texts in requests, by the field's name in proto/. */
export const TEXT_LENGTHS: Record<string, number> = {
  // Iceberg schemas of a few thousand columns.
  table_schema_json: 4_194_304,
  // In ErrorDetail.
  message: 16_384,
  page_token: 8_192,
  traceparent: 128,
  owner: 512,
  // Kafka's own bound is 249.
  topic: 249,
};

/** Entries of a list in a request whose field LIST_COUNTS does not name. */
export const MAX_COUNT = 10_000;
export const MAP_COUNT = 1_000;

/** Entries of lists in requests, by the field's name in proto/. MAX_MESSAGE_BYTES holds over all of them. */
export const LIST_COUNTS: Record<string, number> = {
  // Of a rewrite, and of the clean-up after it.
  files: 100_000,
  added: 100_000,
  paths: 100_000,
  removed_paths: 100_000,
  formats: 8,
  readable_stores: 100,
  skipped_samples: 1_000,
  message_indexes: 100,
};
