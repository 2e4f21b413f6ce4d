// A byte proxy on loopback that stands for the network between the edge and the cloud: it can be cut, silenced and restored.
// It sees only TLS. Invariant: close leaves no socket behind.
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { SkerryError } from '@skerry/common/errors';

/**
 * up: bytes flow. cut: connections are reset and new ones refused, as a firewall that rejects.
 * silent: connections stay open and nothing gets through, new ones too, as a cable that was pulled.
 */
export type LinkMode = 'up' | 'cut' | 'silent';

export interface LinkProxy {
  start(): Promise<void>;
  stop(): Promise<void>;
  port(): number;
  setMode(mode: LinkMode): void;
}

export function createLinkProxy(options: {
  readonly port: number;
  readonly target: { host: string; port: number };
}): LinkProxy {
  const pairs = new Set<readonly [Socket, Socket]>();
  let mode: LinkMode = 'up';
  let server: Server | undefined;

  function accept(client: Socket): void {
    if (mode === 'cut') {
      client.resetAndDestroy();
      return;
    }
    const upstream = createConnection({ ...options.target, noDelay: true });
    client.setNoDelay(true);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    client.pipe(upstream);
    upstream.pipe(client);
    if (mode === 'silent') silence(pair);
  }

  function setMode(next: LinkMode): void {
    // Piping twice would send every byte twice.
    if (next === mode) return;
    mode = next;
    for (const pair of pairs) {
      if (next === 'cut') for (const socket of pair) socket.resetAndDestroy();
      if (next === 'silent') silence(pair);
      // TCP lost nothing: what was held back flows again.
      if (next === 'up') unsilence(pair);
    }
  }

  return {
    start: () =>
      new Promise((resolve, reject) => {
        server = createServer(accept);
        server.once('error', (error) =>
          reject(new SkerryError('unavailable', `cannot listen on 127.0.0.1:${options.port}: ${error.message}`)),
        );
        server.listen(options.port, '127.0.0.1', resolve);
      }),
    async stop() {
      setMode('cut');
      await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
    },
    port() {
      const address = server?.address();
      if (typeof address !== 'object' || address === null)
        throw new SkerryError('failed_precondition', 'the proxy has not started');
      return address.port;
    },
    setMode,
  };
}

function silence([client, upstream]: readonly [Socket, Socket]): void {
  client.unpipe(upstream);
  upstream.unpipe(client);
  client.pause();
  upstream.pause();
}

function unsilence([client, upstream]: readonly [Socket, Socket]): void {
  client.pipe(upstream);
  upstream.pipe(client);
}
