// A TCP proxy that a test holds in its hands: it delays, goes silent, or resets what passes through it.
import { createServer, type Socket, connect as tcpConnect } from 'node:net';

export interface ByteProxy {
  readonly port: number;
  /** Bytes that came from clients. */
  received(): number;
  /** Every chunk waits this long in each direction. */
  delay(ms: number): void;
  /** True: nothing passes any more, nothing is closed: what was sent meanwhile is lost for good. */
  blackHole(on: boolean): void;
  /** Cuts all connections with a reset; new ones are served. */
  reset(): void;
  close(): Promise<void>;
}

export async function createByteProxy(targetPort: number): Promise<ByteProxy> {
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  let delayMs = 0;
  let silent = false;
  let received = 0;

  function pipe(from: Socket, to: Socket, count: (bytes: number) => void): void {
    sockets.add(from);
    from.on('data', (chunk: Buffer) => {
      count(chunk.length);
      if (silent) return;
      if (delayMs === 0) {
        to.write(chunk);
        return;
      }
      const timer = setTimeout(() => {
        timers.delete(timer);
        if (!silent) to.write(chunk);
      }, delayMs);
      timers.add(timer);
    });
    from.on('error', () => to.destroy());
    from.on('close', () => {
      sockets.delete(from);
      if (!silent) to.destroy();
    });
  }

  const server = createServer((client) => {
    const target = tcpConnect(targetPort, '127.0.0.1');
    pipe(client, target, (bytes) => {
      received += bytes;
    });
    pipe(target, client, () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');

  return {
    port: address.port,
    received: () => received,
    delay: (ms) => {
      delayMs = ms;
    },
    blackHole: (on) => {
      silent = on;
    },
    reset: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    close: () => {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve())));
    },
  };
}
