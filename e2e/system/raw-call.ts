import { type ClientHttp2Session, connect, constants } from 'node:http2';

export interface RawAnswer {
  /** gRPC status; undefined when the call did not end in time (a stream that goes on, a call that waits). */
  status: number | undefined;
  message: string;
}

export interface RawCaller {
  /** Sends one message's bytes, whatever they are, to "/package.Service/Method" and cancels after `timeoutMs`. */
  call(path: string, bytes: Uint8Array, timeoutMs: number): Promise<RawAnswer>;
  close(): void;
}

/** gRPC over HTTP/2 with nothing that checks what is sent (gRPC's PROTOCOL-HTTP2.md). */
export function rawCaller(address: string): RawCaller {
  let session: ClientHttp2Session | undefined;
  const open = () => {
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    // In MB: what is sent lies there until the server takes it.
    session = connect(`http://${address}`, { maxSessionMemory: 1_000 });
    session.on('error', () => {});
    return session;
  };
  return {
    call: (path, bytes, timeoutMs) =>
      new Promise((resolve) => {
        const prefix = Buffer.alloc(5);
        prefix.writeUInt32BE(bytes.length, 1);
        const stream = open().request({
          ':method': 'POST',
          ':path': path,
          'content-type': 'application/grpc',
          te: 'trailers',
        });
        const end = (answer: RawAnswer) => {
          clearTimeout(timer);
          resolve(answer);
        };
        const timer = setTimeout(() => {
          end({ status: undefined, message: 'no end in time' });
          stream.close(constants.NGHTTP2_CANCEL);
        }, timeoutMs);
        const onHeaders = (headers: Record<string, unknown>) => {
          if (headers['grpc-status'] === undefined) return;
          end({
            status: Number(headers['grpc-status']),
            message: decodeURIComponent(`${headers['grpc-message'] ?? ''}`),
          });
        };
        stream.on('response', onHeaders).on('trailers', onHeaders);
        stream.on('error', (error) => end({ status: -1, message: error.message }));
        stream.on('close', () => end({ status: -1, message: 'closed without a status' }));
        stream.resume();
        stream.write(prefix);
        stream.end(bytes);
      }),
    close: () => session?.close(),
  };
}
