// Free TCP ports on loopback.
import { createServer } from 'node:net';
import { SkerryError } from '@skerry/common/errors';

/** `wanted` when nobody listens there, else a port that the system chooses. */
export async function freePort(wanted: number): Promise<number> {
  return (await tryListen(wanted)) ?? (await anyPort());
}

/** `count` different ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await anyPort());
  return [...ports];
}

async function anyPort(): Promise<number> {
  const port = await tryListen(0);
  if (port === undefined) throw new SkerryError('unavailable', 'no free port on 127.0.0.1');
  return port;
}

function tryListen(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}
