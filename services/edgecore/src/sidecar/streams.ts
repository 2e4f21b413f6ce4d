// gRPC streams as promises: they end once, whatever ended them.
import type { ClientReadableStream } from '@grpc/grpc-js';
import { fromServiceError } from '@skerry/common/grpc/client';

/** The parts of a stream that a reader needs; also had by bidirectional streams. */
type Readable<T> = Pick<ClientReadableStream<T>, 'cancel'> & {
  on(event: 'data', listener: (message: T) => void): unknown;
  on(event: 'end' | 'close', listener: () => void): unknown;
  on(event: 'error', listener: (error: unknown) => void): unknown;
};

/** Hands on every message until the stream ends (resolves) or fails (rejects with our error); an abort cancels it and resolves. */
export function readStream<T>(
  stream: Readable<T>,
  signal: AbortSignal,
  onMessage: (message: T) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => stream.cancel();
    const settle = (fn: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      fn();
    };
    stream.on('data', onMessage);
    stream.on('end', () => settle(resolve));
    stream.on('close', () => settle(resolve));
    stream.on('error', (error) => settle(() => (signal.aborted ? resolve() : reject(fromServiceError(error)))));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
