// Bounds the size of MQTT packets before they are collected: the broker's parser would keep up to 256 MiB of one packet in memory.
// MQTT 3.1.1 section 2.2: a byte of type and flags, then the remaining length in at most four bytes of seven bits each, low bits first.
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

const MORE = 0x80;
const MAX_LENGTH_BYTES = 4;

export interface FrameScanner {
  /** Bytes of the first packet that is larger than allowed (Infinity for a malformed length), undefined while all are in order. */
  scan(chunk: Uint8Array): number | undefined;
}

type Position =
  | { readonly kind: 'type' }
  | { readonly kind: 'length'; readonly value: number; readonly read: number }
  | { readonly kind: 'body'; readonly left: number };

export function createFrameScanner(maxBytes: number): FrameScanner {
  let position: Position = { kind: 'type' };

  /** Moves over the byte at `at`, or over as much of a body as there is; returns how many bytes that were. */
  function step(chunk: Uint8Array, at: number): number {
    switch (position.kind) {
      case 'type':
        position = { kind: 'length', value: 0, read: 0 };
        return 1;
      case 'length':
        position = afterLengthByte(position.value, position.read, chunk[at] ?? 0);
        return 1;
      case 'body': {
        const taken = Math.min(position.left, chunk.length - at);
        position = bodyOf(position.left - taken);
        return taken;
      }
    }
  }

  function scan(chunk: Uint8Array): number | undefined {
    for (let at = 0; at < chunk.length; ) {
      at += step(chunk, at);
      if (position.kind === 'body' && position.left > maxBytes) return position.left;
    }
    return undefined;
  }

  return { scan };
}

function afterLengthByte(value: number, read: number, byte: number): Position {
  const sum = value + (byte & ~MORE) * 128 ** read;
  if ((byte & MORE) === 0) return bodyOf(sum);
  if (read + 1 === MAX_LENGTH_BYTES) return { kind: 'body', left: Number.POSITIVE_INFINITY };
  return { kind: 'length', value: sum, read: read + 1 };
}

function bodyOf(left: number): Position {
  return left === 0 ? { kind: 'type' } : { kind: 'body', left };
}

/** The socket, ended with an error at the first packet that is too large. */
export function limitFrames(socket: Socket, maxBytes: number, onTooLarge: (bytes: number) => void): Duplex {
  const scanner = createFrameScanner(maxBytes);
  const limited = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    writev: (chunks, done) => {
      socket.cork();
      const last = chunks.length - 1;
      for (const [at, { chunk }] of chunks.entries()) socket.write(chunk as Buffer, at === last ? done : undefined);
      socket.uncork();
    },
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    const bytes = scanner.scan(chunk);
    if (bytes === undefined) {
      if (!limited.push(chunk)) socket.pause();
      return;
    }
    onTooLarge(bytes);
    limited.destroy(new Error(`packet of ${bytes} bytes: at most ${maxBytes}`));
  });
  socket.on('end', () => limited.push(null));
  socket.on('error', (error) => limited.destroy(error));
  socket.on('close', () => limited.destroy());
  return limited;
}
