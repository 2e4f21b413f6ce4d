import { describe, expect, test } from '@jest/globals';
import { systemClock } from '../clock.js';
import { SkerryError } from '../errors.js';
import { connectKube, createKubeClient, type KubeClient } from './client.js';
import type { KubeConnection } from './config.js';
import type { KubeObject } from './object.js';
import { CONFIG_MAPS, DEVICES, LEASES, NODES, PODS, type Resource } from './resources.js';
import { type KubeServer, startKubeServer } from './testing/kube-server.js';
import { createKubeTransport, type KubeTransport, type TransportOptions } from './transport.js';

interface Echo extends KubeObject {
  readonly method: string;
  readonly url: string;
  readonly type?: string;
  readonly body?: unknown;
}

interface Harness {
  readonly server: KubeServer;
  readonly transport: KubeTransport;
  readonly client: KubeClient;
}

async function withServer(
  fn: (harness: Harness) => Promise<void>,
  options: Partial<TransportOptions> & { credentials?: { token: string } } = {},
): Promise<void> {
  const server = await startKubeServer(options.credentials);
  const transport = createKubeTransport({
    connection: server.connection,
    clock: systemClock(),
    random: () => 0.9,
    ...options,
  });
  try {
    await fn({ server, transport, client: createKubeClient(transport) });
  } finally {
    await transport.close();
    await server.close();
  }
}

function as<T extends KubeObject>(resource: Resource<T>): Resource<Echo> {
  return resource as unknown as Resource<Echo>;
}

describe('client', () => {
  test('verbs, paths, queries and bodies are those of the API', () =>
    withServer(async ({ client }) => {
      const pod = { metadata: { namespace: 'shop', name: 'web' } };
      const ref = { namespace: 'shop', name: 'web' };
      const node = as(NODES);
      expect(await client.get(as(PODS), ref)).toMatchObject({ method: 'GET', url: '/api/v1/namespaces/shop/pods/web' });
      expect(await client.get(node, { name: 'a/b?c' })).toMatchObject({ url: '/api/v1/nodes/a%2Fb%3Fc' });
      expect(await client.create(as(LEASES), pod as Echo, { fieldValidation: 'Strict' })).toMatchObject({
        method: 'POST',
        url: '/apis/coordination.k8s.io/v1/namespaces/shop/leases?fieldValidation=Strict',
        type: 'application/json',
        body: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'web' } },
      });
      expect(await client.replace(as(PODS), pod as Echo, { subresource: 'status' })).toMatchObject({
        method: 'PUT',
        url: '/api/v1/namespaces/shop/pods/web/status',
      });
      expect(await client.patch(as(DEVICES), ref, { type: 'merge', body: { spec: null } })).toMatchObject({
        method: 'PATCH',
        url: '/apis/devices.kubeedge.io/v1beta1/namespaces/shop/devices/web',
        type: 'application/merge-patch+json',
        body: { spec: null },
      });
      const token = await client.createToken(ref, { audiences: ['api'], expirationSeconds: 600 });
      expect(token).toMatchObject({
        url: '/api/v1/namespaces/shop/serviceaccounts/web/token',
        body: { kind: 'TokenRequest', spec: { expirationSeconds: 600 } },
      });
    }));

  test('a name that is no name, or is missing, never reaches the wire', () =>
    withServer(async ({ client, server }) => {
      const invalid = { code: 'invalid_argument' };
      await expect(async () => client.get(NODES, { name: '..' })).rejects.toMatchObject(invalid);
      await expect(async () => client.get(PODS, { name: 'web' })).rejects.toMatchObject(invalid);
      await expect(client.create(PODS, { metadata: { name: 'web' } })).rejects.toMatchObject(invalid);
      await expect(client.replace(NODES, {})).rejects.toMatchObject(invalid);
      expect(server.requests).toEqual([]);
    }));
});

describe('transport', () => {
  test('a thousand requests use no more than the allowed connections, kept alive', () =>
    withServer(
      async ({ client, server, transport }) => {
        await Promise.all(Array.from({ length: 1_000 }, (_, i) => client.get(NODES, { name: `n${i}` })));
        expect(server.connections()).toBeLessThanOrEqual(4);
        expect(transport.stats().requests).toEqual([{ verb: 'get', resource: 'nodes', code: '200', count: 1_000 }]);
      },
      { maxConnections: 4 },
    ));

  test('a read survives resets, 500s and a 429; a write is not sent twice after a reset', () =>
    withServer(async ({ client, server, transport }) => {
      server.inject(
        'other',
        { kind: 'reset' },
        { kind: 'status', code: 500 },
        { kind: 'status', code: 429, retryAfterSeconds: 0 },
      );
      await client.get(NODES, { name: 'a' });
      expect(transport.stats().retries).toBe(3);
      server.inject('other', { kind: 'reset' });
      const write = client.replace(NODES, { metadata: { name: 'a' } });
      await expect(write).rejects.toMatchObject({ code: 'unavailable', httpStatus: 0 });
      server.inject('other', { kind: 'status', code: 429, reason: 'TooManyRequests', retryAfterSeconds: 0 });
      await client.replace(NODES, { metadata: { name: 'a' } });
      expect(server.requests.filter((line) => line.startsWith('PUT'))).toHaveLength(3);
    }));

  test('a long Retry-After is handed to the caller', () =>
    withServer(async ({ client, server }) => {
      server.inject('other', { kind: 'status', code: 429, reason: 'TooManyRequests', retryAfterSeconds: 60 });
      await expect(client.get(NODES, { name: 'a' })).rejects.toMatchObject({
        code: 'resource_exhausted',
        reason: 'TooManyRequests',
        retryAfterMs: 60_000,
      });
      expect(server.requests).toHaveLength(1);
    }));

  test('a stalled server is given up in time, and the next request is not behind it', () =>
    withServer(
      async ({ client, server }) => {
        server.inject('other', { kind: 'stall' });
        const stalled = client.get(NODES, { name: 'a' }, { timeoutMs: 200 });
        await expect(stalled).rejects.toMatchObject({ code: 'deadline_exceeded', httpStatus: 0 });
        await client.get(NODES, { name: 'b' });
      },
      { maxConnections: 1 },
    ));

  test('the caller can cancel, and closing cancels everything', () =>
    withServer(async ({ client, server, transport }) => {
      const patience = new AbortController();
      server.inject('other', { kind: 'stall' }, { kind: 'stall' });
      const cancelled = client.get(NODES, { name: 'a' }, { signal: patience.signal });
      patience.abort();
      await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
      const pending = client.get(NODES, { name: 'b' });
      const outcome = expect(pending).rejects.toMatchObject({ code: 'cancelled' });
      await transport.close();
      await outcome;
    }));

  test('garbage instead of JSON is an error, not an answer', () =>
    withServer(async ({ client, server }) => {
      server.inject('other', { kind: 'body', text: '{"kind":' });
      await expect(client.get(NODES, { name: 'a' }, { retry: false })).rejects.toMatchObject({ code: 'unavailable' });
    }));

  test('an answer over the bound is an error', () =>
    withServer(
      async ({ client, server }) => {
        server.inject('other', { kind: 'body', text: JSON.stringify('x'.repeat(100_000)) });
        await expect(client.get(CONFIG_MAPS, { namespace: 'a', name: 'b' }, { retry: false })).rejects.toMatchObject({
          httpStatus: 0,
        });
      },
      { maxResponseBytes: 10_000 },
    ));

  test('after a 401 the credentials are read anew, once', async () => {
    const credentials = { token: 'old' };
    const server = await startKubeServer(credentials);
    let refreshes = 0;
    const connection: KubeConnection = {
      ...server.connection,
      credentials: (options) => {
        if (options?.refresh) {
          refreshes += 1;
          credentials.token = 'new';
        }
        return server.connection.credentials();
      },
    };
    const transport = createKubeTransport({ connection, clock: systemClock(), random: Math.random });
    try {
      const client = createKubeClient(transport);
      server.requireToken('new');
      await client.get(NODES, { name: 'a' });
      expect(refreshes).toBe(1);
      server.requireToken('newer');
      await expect(client.get(NODES, { name: 'a' })).rejects.toMatchObject({ code: 'unauthenticated' });
      expect(refreshes).toBe(2);
    } finally {
      await transport.close();
      await server.close();
    }
  });

  test('new TLS material means new connections; a watch on an old one goes on', () =>
    withServer(async ({ server }) => {
      const { tls, headers } = await server.connection.credentials();
      let ca = tls.ca ?? '';
      const connection: KubeConnection = { ...server.connection, credentials: async () => ({ headers, tls: { ca } }) };
      const { client, transport } = connectKube({ connection, clock: systemClock(), random: () => 0 });
      const watch = { resourceVersion: '100', timeoutSeconds: 60, signal: new AbortController().signal };
      const events = (await client.watch(NODES, watch))[Symbol.asyncIterator]();
      await client.get(NODES, { name: 'a' });
      const before = server.connections();
      ca += '\n';
      await client.get(NODES, { name: 'a' });
      expect(server.connections()).toBe(before + 1);
      server.put({ metadata: { name: 'n' } });
      expect(await events.next()).toMatchObject({ value: { type: 'ADDED', object: { metadata: { name: 'n' } } } });
      await transport.close();
      await expect(events.next()).rejects.toMatchObject({ code: 'cancelled' });
    }));

  test('credentials that cannot be had fail the request with their own code', () =>
    withServer(async ({ server }) => {
      const failing = async () => {
        throw new SkerryError('unauthenticated', 'the plugin failed');
      };
      const connection: KubeConnection = { ...server.connection, credentials: failing };
      const { client, transport } = connectKube({ connection, clock: systemClock(), random: () => 0 });
      await expect(client.get(NODES, { name: 'a' })).rejects.toMatchObject({ code: 'unauthenticated', httpStatus: 0 });
      await transport.close();
    }));

  test('a server that our CA did not sign is refused', () =>
    withServer(async ({ server }) => {
      const connection: KubeConnection = {
        ...server.connection,
        credentials: async () => ({ headers: {}, tls: {} }),
      };
      const stranger = createKubeTransport({ connection, clock: systemClock(), random: () => 0 });
      const asked = createKubeClient(stranger).get(NODES, { name: 'a' }, { retry: false });
      await expect(asked).rejects.toMatchObject({ code: 'unavailable', httpStatus: 0 });
      expect(server.requests).toEqual([]);
      await stranger.close();
    }));

  test("streams have a bound of their own and never take the requests' connections", () =>
    withServer(
      async ({ client, server, transport }) => {
        const abort = new AbortController();
        const watch = { resourceVersion: '100', timeoutSeconds: 60, signal: abort.signal };
        const open = [await client.watch(NODES, watch), await client.watch(NODES, watch)];
        expect(open).toHaveLength(2);
        await expect(client.watch(NODES, watch)).rejects.toMatchObject({ code: 'resource_exhausted' });
        await client.get(NODES, { name: 'a' });
        expect(server.openWatches()).toBe(2);
        abort.abort();
        for (const events of open)
          await expect(
            (async () => {
              for await (const event of events) expect(event).toBeDefined();
            })(),
          ).rejects.toMatchObject({ code: 'cancelled' });
        expect(transport.stats().openStreams).toBe(0);
      },
      { maxConnections: 1, maxStreams: 2 },
    ));
});
