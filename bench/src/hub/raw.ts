// The floor: grpc-js alone over mTLS, messages as bytes, writes that obey drain. One stream for each edge, one for the controller.
import { type ClientDuplexStream, makeGenericClientConstructor, type ServiceDefinition } from '@grpc/grpc-js';

const identity = (bytes: Buffer): Buffer => bytes;
const method = (path: string) => ({
  path,
  requestStream: true,
  responseStream: true,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
});

export const rawService = {
  edge: method('/bench.Raw/Edge'),
  controller: method('/bench.Raw/Controller'),
} satisfies ServiceDefinition;

export const RawClient = makeGenericClientConstructor(rawService, 'bench.Raw');
export type RawStream = ClientDuplexStream<Buffer, Buffer>;

/** What stands for a Done: about as long. */
export const ANSWER_BYTES = 64;

interface Writable {
  write(message: Buffer): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** Writes in order, and waits for drain when the stream is full. */
export function boundedWriter(stream: Writable): (message: Buffer) => void {
  const waiting: Buffer[] = [];
  let full = false;
  const flush = (): void => {
    full = false;
    let sent = 0;
    while (sent < waiting.length && !full) put(waiting[sent++] ?? Buffer.alloc(0));
    waiting.splice(0, sent);
  };
  const put = (message: Buffer): void => {
    if (stream.write(message)) return;
    full = true;
    stream.once('drain', flush);
  };
  return (message) => {
    if (full) waiting.push(message);
    else put(message);
  };
}
