// Stands in for the OpenTelemetry collector where its image can't be had: takes spans by OTLP over gRPC on 4317 and writes
// each as a JSON line to /traces/traces.jsonl. Needs nothing but Node.js. Field numbers: opentelemetry/proto/trace/v1.
const { appendFileSync } = require('node:fs');
const { createServer } = require('node:http2');

/** The fields of a message: number → values (varints as numbers, the rest as bytes). */
function fieldsOf(bytes) {
  const fields = new Map();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const type = tag & 7;
    let value;
    if (type === 0) value = varint();
    else {
      const length = type === 1 ? 8 : type === 5 ? 4 : varint();
      value = bytes.subarray(at, (at += length));
    }
    const number = Math.floor(tag / 8);
    if (fields.has(number)) fields.get(number).push(value);
    else fields.set(number, [value]);
  }
  return fields;
}

const all = (fields, number) => fields.get(number) ?? [];
const first = (fields, number) => all(fields, number)[0];
const text = (bytes) => bytes?.toString('utf8') ?? '';
const hex = (bytes) => bytes?.toString('hex') ?? '';

/** Strings and whole numbers; the others of no use here. */
const attributesOf = (fields, number) =>
  Object.fromEntries(
    all(fields, number).map((pair) => {
      const [key, value] = [first(fieldsOf(pair), 1), fieldsOf(first(fieldsOf(pair), 2) ?? Buffer.alloc(0))];
      return [text(key), value.has(1) ? text(first(value, 1)) : first(value, 3)];
    }),
  );

function linesOf(request) {
  const lines = [];
  for (const resourceSpans of all(fieldsOf(request), 1).map(fieldsOf)) {
    const resource = attributesOf(fieldsOf(first(resourceSpans, 1) ?? Buffer.alloc(0)), 1);
    for (const scope of all(resourceSpans, 2).map(fieldsOf)) {
      for (const span of all(scope, 2).map(fieldsOf)) {
        lines.push({
          service: resource['service.name'],
          traceId: hex(first(span, 1)),
          spanId: hex(first(span, 2)),
          parentSpanId: hex(first(span, 4)),
          name: text(first(span, 5)),
          startNanos: String(first(span, 7)?.readBigUInt64LE() ?? 0),
          endNanos: String(first(span, 8)?.readBigUInt64LE() ?? 0),
          attributes: attributesOf(span, 9),
          links: all(span, 13).map((link) => hex(first(fieldsOf(link), 1))),
        });
      }
    }
  }
  return lines;
}

const server = createServer();
server.on('stream', (stream, headers) => {
  const chunks = [];
  stream.on('error', () => {});
  stream.on('data', (chunk) => chunks.push(chunk));
  stream.on('end', () => {
    const message = Buffer.concat(chunks);
    if (headers[':path'].endsWith('TraceService/Export')) {
      // Each gRPC message begins with a flag for compression, which is not asked for, and its length.
      const lines = linesOf(message.subarray(5));
      if (lines.length > 0)
        appendFileSync('/traces/traces.jsonl', lines.map((line) => JSON.stringify(line) + '\n').join(''));
    }
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.alloc(5));
  });
});
// The collector says the same.
server.listen(4317, '0.0.0.0', () => console.error('Everything is ready.'));
process.on('SIGTERM', () => process.exit(0));
