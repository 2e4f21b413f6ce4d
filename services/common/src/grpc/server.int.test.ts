// A server as users meet it: over TLS and unix sockets, asked by a stock reflection client.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { HealthClient, HealthCheckResponse_ServingStatus as Status } from '@skerry/gen/grpc/health/v1/health';
import { BridgeServiceClient, BridgeServiceService, GetBrokerResponse } from '@skerry/gen/skerry/edge/v1/bridge';
import { systemClock } from '../clock.js';
import { nullLogger } from '../logger.js';
import { withTempDir } from '../testing/temp-dir.js';
import { unary, unixClient } from './client.js';
import { createGrpcServer, type GrpcServer } from './server.js';

const run = promisify(execFile);
const buf = join(import.meta.dirname, '../../../../node_modules/.bin/buf');

function brokerServer(path: string): GrpcServer {
  return createGrpcServer({
    name: 'test',
    services: [
      {
        definition: BridgeServiceService,
        implementation: {
          getBroker: (_call: unknown, done: (error: null, response: GetBrokerResponse) => void) =>
            done(null, GetBrokerResponse.create({ address: '127.0.0.1:1883', clients: 3 })),
        },
      },
    ],
    listen: { kind: 'unix', path },
    clock: systemClock(),
    logger: nullLogger(),
  });
}

async function withServer(fn: (path: string, server: GrpcServer) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    const path = join(dir, 'run', 's.sock');
    const server = brokerServer(path);
    await server.start();
    try {
      await fn(path, server);
    } finally {
      await server.stop(AbortSignal.timeout(5_000));
    }
  });
}

/** What kill -9 leaves behind: the socket's file without a listener. */
async function leaveStaleSocket(path: string): Promise<void> {
  const script = "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";
  await run(process.execPath, ['-e', script, path]).catch(() => {});
}

describe('gRPC server on a unix socket', () => {
  test('serves calls and health', () =>
    withServer(async (path) => {
      const client = unixClient(BridgeServiceClient, path);
      const health = unixClient(HealthClient, path);
      expect(await unary<GetBrokerResponse>((done) => client.getBroker({}, done))).toMatchObject({ clients: 3 });
      expect(await unary((done) => health.check({ service: '' }, done))).toEqual({ status: Status.SERVING });
      await expect(unary((done) => health.check({ service: 'other' }, done))).rejects.toMatchObject({
        code: 'not_found',
      });
      client.close();
      health.close();
    }));

  test('answers a stock reflection client that has none of our files', () =>
    withServer(async (path) => {
      const { stdout } = await run(buf, [
        ...['curl', '--protocol', 'grpc', '--unix-socket', path, '--http2-prior-knowledge'],
        'http://localhost/skerry.edge.v1.BridgeService/GetBroker',
      ]);
      expect(JSON.parse(stdout)).toMatchObject({ address: '127.0.0.1:1883', clients: 3 });
    }));

  test('refuses a path that another process serves, and takes over one that a dead process left', () =>
    withServer(async (path, server) => {
      await expect(brokerServer(path).start()).rejects.toMatchObject({ code: 'already_exists' });
      await server.stop(AbortSignal.timeout(5_000));
      await withTempDir(async (dir) => {
        const stale = join(dir, 'stale.sock');
        await leaveStaleSocket(stale);
        const second = brokerServer(stale);
        await second.start();
        await second.stop(AbortSignal.timeout(5_000));
      });
    }));

  test('refuses a path that is too long for the platform, naming it', async () => {
    await expect(brokerServer(`/tmp/${'x'.repeat(120)}/s.sock`).start()).rejects.toThrow('longer than 103 bytes');
  });

  test('ends an open health watch when it stops', () =>
    withServer(async (path, server) => {
      const health = unixClient(HealthClient, path);
      const seen: Status[] = [];
      const watch = health.watch({ service: '' });
      const ended = new Promise<void>((resolve) => watch.on('end', () => resolve()));
      await new Promise<void>((resolve) =>
        watch.on('data', (m: { status: Status }) => {
          seen.push(m.status);
          resolve();
        }),
      );
      await server.stop(AbortSignal.timeout(5_000));
      await ended;
      expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
      health.close();
    }));
});
