// Watches: order, selectors, bookmarks, resumption, and what happens to a client that is too slow or too late.

import { connect } from 'node:tls';
import { expect, test } from '@jest/globals';
import { CoreV1Api, KubeConfig, makeInformer } from '@kubernetes/client-node';
import { type ApiClient, type WatchEvent, withDevcluster } from './testing/api-client.js';

const CONFIGS = '/api/v1/namespaces/default/configmaps';
const config = (name: string, more: object = {}) => ({ metadata: { name, ...more } });
const brief = (events: readonly WatchEvent[]): string[] =>
  events.map(({ type, object }) => `${type} ${object.metadata.name ?? ''}`);

async function revisionOf(api: ApiClient): Promise<string> {
  return (await api.get(CONFIGS)).body.metadata.resourceVersion ?? '';
}

test('changes arrive in order, from a revision, and the stream ends at its timeout', async () => {
  await withDevcluster({}, async (api) => {
    const start = await revisionOf(api);
    await api.post(CONFIGS, config('a'));
    await api.patch(`${CONFIGS}/a`, 'merge', { data: { x: '1' } });
    const events = await api.watch(
      `${CONFIGS}?watch=1&resourceVersion=${start}&allowWatchBookmarks=true&timeoutSeconds=1`,
      () => false,
      async () => void (await api.delete(`${CONFIGS}/a`)),
    );
    expect(brief(events)).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a', 'BOOKMARK ']);
    const revisions = events.map(({ object }) => Number(object.metadata.resourceVersion));
    expect(revisions).toEqual([...revisions].sort((x, y) => x - y));
    expect(events[0]?.object).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1' });
  });
});

test('an object that enters or leaves a selection is ADDED or DELETED', async () => {
  await withDevcluster({}, async (api) => {
    const start = await revisionOf(api);
    await api.post(CONFIGS, config('a'));
    await api.patch(`${CONFIGS}/a`, 'merge', { metadata: { labels: { on: 'yes' } } });
    await api.patch(`${CONFIGS}/a`, 'merge', { data: { x: '1' } });
    await api.patch(`${CONFIGS}/a`, 'merge', { metadata: { labels: null } });
    const path = `${CONFIGS}?watch=1&resourceVersion=${start}&labelSelector=on%3Dyes`;
    const events = await api.watch(path, (found) => found.length === 3);
    expect(brief(events)).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a']);
    expect(events[2]?.object.metadata.labels).toEqual({ on: 'yes' });
  });
});

test('without a revision a watch begins with what there is; initial events end with a bookmark', async () => {
  await withDevcluster({}, async (api) => {
    await api.post(CONFIGS, config('a'));
    const named = '&fieldSelector=metadata.name%3Da';
    expect(brief(await api.watch(`${CONFIGS}?watch=true${named}`, (found) => found.length === 1))).toEqual(['ADDED a']);
    const initial = `${CONFIGS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true${named}`;
    const events = await api.watch(initial, (found) => found.length === 2);
    expect(events[1]).toMatchObject({
      type: 'BOOKMARK',
      object: { metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    });
  });
});

test('a revision that is too old or in the future is an ERROR event', async () => {
  await withDevcluster({ history: { maxChanges: 5, maxBytes: 1_000_000 } }, async (api) => {
    const start = await revisionOf(api);
    for (let index = 0; index < 10; index++) await api.post(CONFIGS, config(`c${index}`));
    const old = await api.watch(`${CONFIGS}?watch=1&resourceVersion=${start}`, () => false);
    expect(old).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }]);
    const future = await api.watch(`${CONFIGS}?watch=1&resourceVersion=999999`, () => false);
    expect(future).toMatchObject([{ type: 'ERROR', object: { code: 504, reason: 'Timeout' } }]);
  });
});

test('a client that does not read is cut off, and nothing is kept for it', async () => {
  await withDevcluster({ history: { maxChanges: 20, maxBytes: 100_000_000 } }, async (api, cluster) => {
    const { hostname, port } = new URL(cluster.url);
    const socket = connect({ host: hostname, port: Number(port), ca: cluster.caCertificate });
    socket.on('error', () => {});
    await new Promise<void>((resolve) => socket.once('secureConnect', resolve));
    socket.pause();
    socket.write(`GET ${CONFIGS}?watch=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${cluster.token}\r\n\r\n`);
    const large = 'x'.repeat(500_000);
    await api.until('/metrics', (answer) => answer.text.includes('devcluster_watches 1'));
    for (let index = 0; index < 80; index++)
      await api
        .put(`${CONFIGS}/big`, { metadata: { name: 'big' }, data: { large, index: `${index}` } })
        .then(async (answer) => {
          if (answer.code === 404) await api.post(CONFIGS, { metadata: { name: 'big' }, data: { large } });
        });
    await api.until('/metrics', (answer) => answer.text.includes('devcluster_watches_overtaken_total 1'));
    socket.destroy();
  });
});

test("the JavaScript client's informer follows", async () => {
  await withDevcluster({}, async (_api, cluster) => {
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromFile(cluster.kubeconfigPath);
    const core = kubeConfig.makeApiClient(CoreV1Api);
    const namespace = 'default';
    const seen: string[] = [];
    const informer = makeInformer(kubeConfig, `/api/v1/namespaces/${namespace}/secrets`, () =>
      core.listNamespacedSecret({ namespace }),
    );
    const all = new Promise<void>((resolve) => {
      for (const verb of ['add', 'update', 'delete'] as const) {
        informer.on(verb, (secret) => {
          seen.push(`${verb} ${secret.metadata?.name ?? ''}`);
          if (verb === 'delete') resolve();
        });
      }
    });
    informer.on('error', () => {});
    await informer.start();
    await core.createNamespacedSecret({ namespace, body: { metadata: { name: 's' }, stringData: { a: 'b' } } });
    const secret = await core.readNamespacedSecret({ namespace, name: 's' });
    await core.replaceNamespacedSecret({ namespace, name: 's', body: Object.assign(secret, { data: { a: 'Yw==' } }) });
    await core.deleteNamespacedSecret({ namespace, name: 's' });
    await all;
    await informer.stop();
    expect(seen).toEqual(['add s', 'update s', 'delete s']);
  });
});
