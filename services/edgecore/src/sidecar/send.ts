// Writing to a gRPC stream without filling memory: a stream that says it is full is waited for.

import type { EventEmitter } from 'node:events';
import { once } from 'node:events';

export interface MessageStream<T> extends EventEmitter {
  write(message: T): boolean;
}

/** Resolves when the stream takes more. Rejects with the stream's error, or when aborted. */
export async function send<T>(stream: MessageStream<T>, message: T, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!stream.write(message)) await once(stream, 'drain', { signal });
}
