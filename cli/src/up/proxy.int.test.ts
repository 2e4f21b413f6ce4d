import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { createLinkProxy, type LinkProxy } from './proxy.js';

/** An echo server behind a proxy. */
async function withProxy(fn: (proxy: LinkProxy) => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>();
  const echo = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const address = echo.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  const proxy = createLinkProxy({ port: 0, target: { host: '127.0.0.1', port: address.port } });
  await proxy.start();
  try {
    await fn(proxy);
  } finally {
    await proxy.stop();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => echo.close(resolve));
  }
}

async function connect(proxy: LinkProxy): Promise<Socket> {
  const socket = createConnection(proxy.port(), '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

async function echoOf(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [data] = await once(socket, 'data');
  return String(data);
}

describe('link proxy', () => {
  test('passes bytes both ways', () =>
    withProxy(async (proxy) => {
      const socket = await connect(proxy);
      expect(await echoOf(socket, 'hello')).toBe('hello');
      socket.destroy();
    }));

  test('cut resets what is open and what comes', () =>
    withProxy(async (proxy) => {
      const socket = await connect(proxy);
      await echoOf(socket, 'x');
      const reset = once(socket, 'error');
      proxy.setMode('cut');
      expect((await reset)[0]).toMatchObject({ code: 'ECONNRESET' });
      const next = createConnection(proxy.port(), '127.0.0.1');
      expect((await once(next, 'error'))[0]).toMatchObject({ code: 'ECONNRESET' });
      proxy.setMode('up');
      const again = await connect(proxy);
      expect(await echoOf(again, 'back')).toBe('back');
      again.destroy();
    }));

  test('silent holds bytes back, and they flow again afterwards', () =>
    withProxy(async (proxy) => {
      const socket = await connect(proxy);
      await echoOf(socket, 'x');
      proxy.setMode('silent');
      let seen = '';
      socket.on('data', (data) => {
        seen += String(data);
      });
      socket.write('held');
      const late = await connect(proxy);
      late.write('new');
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(seen).toBe('');
      const flowed = once(late, 'data');
      proxy.setMode('up');
      expect(String((await flowed)[0])).toBe('new');
      while (seen === '') await once(socket, 'data');
      expect(seen).toBe('held');
      socket.destroy();
      late.destroy();
    }));
});
