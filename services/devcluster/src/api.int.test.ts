// The API over HTTPS, as clients see it: codes, Status objects, patches, lists, deletion.

import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createDevcluster, type Devcluster } from './devcluster.js';
import { type ApiClient, createApiClient, podManifest } from './testing/api-client.js';

const CONFIGS = '/api/v1/namespaces/default/configmaps';
const PODS = '/api/v1/namespaces/default/pods';
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/default/leases';

let dir: string;
let cluster: Devcluster;
let api: ApiClient;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sk-'));
  cluster = createDevcluster({ stateDir: dir, history: { maxChanges: 50, maxBytes: 1_000_000 } });
  await cluster.start();
  api = createApiClient(cluster);
});

afterAll(async () => {
  await api.close();
  await cluster.stop(new AbortController().signal);
  await rm(dir, { recursive: true });
});

const config = (name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  ...more,
});

describe('the door', () => {
  test('nobody without a token, health for everybody', async () => {
    const refused = await api.call('GET', '/api/v1/pods', undefined, { authorization: '' });
    expect(refused.code).toBe(401);
    expect(refused.body).toMatchObject({ kind: 'Status', reason: 'Unauthorized', code: 401 });
    expect((await api.call('GET', '/api/v1/pods', undefined, { authorization: 'Bearer wrong' })).code).toBe(401);
    expect((await api.call('GET', '/readyz', undefined, { authorization: '' })).text).toBe('ok');
  });

  test('the kubeconfig is for its owner only', async () => {
    expect((await stat(cluster.kubeconfigPath)).mode & 0o777).toBe(0o600);
  });

  test('what is no HTTP, and a URL without an end', async () => {
    const raw = async (text: string): Promise<string> => {
      const { hostname, port } = new URL(cluster.url);
      const socket = connect({ host: hostname, port: Number(port), ca: cluster.caCertificate });
      socket.write(text);
      let answer = '';
      for await (const chunk of socket) answer += String(chunk);
      return answer;
    };
    expect(await raw('nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400[\s\S]*"kind":"Status"/);
    expect(await raw(`GET /${'x'.repeat(1_100_000)} HTTP/1.1\r\n\r\n`)).toMatch(/^HTTP\/1.1 431[\s\S]*"kind":"Status"/);
    const long = await api.get(
      `${CONFIGS}?labelSelector=${Array.from({ length: 3_000 }, (_, index) => `k${index}`).join(',')}`,
    );
    expect(long.code).toBe(200);
    expect((await api.get('//api/v1/pods')).code).toBe(404);
  });

  test('discovery', async () => {
    expect((await api.get('/version')).body).toMatchObject({ major: '1' });
    expect((await api.get('/api')).body).toMatchObject({ kind: 'APIVersions', versions: ['v1'] });
    const core = (await api.get('/api/v1')).body as unknown as { resources: { name: string }[] };
    expect(core.resources.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['pods', 'pods/status', 'pods/binding', 'nodes/status']),
    );
    expect((await api.get('/apis/coordination.k8s.io')).body).toMatchObject({ preferredVersion: { version: 'v1' } });
    expect((await api.get('/openapi/v3')).text).toContain('/openapi/v3/api/v1?hash=');
    expect((await api.get('/openapi/v3/api/v1')).body).toMatchObject({ openapi: '3.0.0' });
    expect((await api.get('/openapi/v2')).code).toBe(404);
  });

  test.each([
    ['GET', '/apis/apps/v1/deployments', 404],
    ['GET', '/api/v1/widgets', 404],
    ['GET', '/nonsense', 404],
    ['PUT', CONFIGS, 405],
    ['POST', `${CONFIGS}/x`, 405],
    ['POST', '/api/v1/pods', 405],
    ['GET', `${PODS}/x/log`, 404],
  ])('%s %s -> %d', async (method, path, code) => {
    expect((await api.call(method, path, method === 'GET' ? undefined : {})).code).toBe(code);
  });

  test.each([
    ['broken JSON', '{"a"', 'application/json', 400, 'BadRequest'],
    ['broken YAML', 'a: [', 'application/yaml', 400, 'BadRequest'],
    ['a list', '[]', 'application/json', 400, 'BadRequest'],
    ['another content type', 'x', 'text/plain', 415, 'UnsupportedMediaType'],
    ['broken protobuf', 'k8s', 'application/vnd.kubernetes.protobuf', 400, 'BadRequest'],
    ['too much', `{"a":"${'x'.repeat(4_000_000)}"}`, 'application/json', 413, 'RequestEntityTooLarge'],
    ['another kind', '{"kind":"Secret"}', 'application/json', 400, 'BadRequest'],
    ['another version', '{"apiVersion":"v2"}', 'application/json', 400, 'BadRequest'],
  ])('%s', async (_name, body, contentType, code, reason) => {
    const answer = await api.call('POST', CONFIGS, body, { 'content-type': contentType });
    expect(answer.body).toMatchObject({ kind: 'Status', status: 'Failure', code, reason });
  });
});

describe('objects', () => {
  test('create, get, conflict, update, no-op, delete', async () => {
    const created = await api.post(CONFIGS, config('life', { data: { a: '1' } }));
    expect(created.code).toBe(201);
    expect(created.body.metadata).toMatchObject({
      namespace: 'default',
      uid: expect.any(String),
      creationTimestamp: expect.stringMatching(/Z$/),
    });
    const again = await api.post(CONFIGS, config('life'));
    expect(again.body).toMatchObject({
      code: 409,
      reason: 'AlreadyExists',
      message: 'configmaps "life" already exists',
    });

    const updated = await api.put(`${CONFIGS}/life`, { ...created.body, data: { a: '2' } });
    expect(updated.code).toBe(200);
    const stale = await api.put(`${CONFIGS}/life`, { ...created.body, data: { a: '3' } });
    expect(stale.body).toMatchObject({ code: 409, reason: 'Conflict' });
    const same = await api.put(`${CONFIGS}/life`, updated.body);
    expect(same.body.metadata.resourceVersion).toBe(updated.body.metadata.resourceVersion);

    const wrong = await api.delete(`${CONFIGS}/life`, { preconditions: { uid: 'other' } });
    expect(wrong.body).toMatchObject({ code: 409, reason: 'Conflict' });
    const deleted = await api.delete(`${CONFIGS}/life`);
    expect(deleted.body).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'life', kind: 'configmaps' },
    });
    expect((await api.get(`${CONFIGS}/life`)).body).toMatchObject({
      code: 404,
      message: 'configmaps "life" not found',
    });
  });

  test('names are made and checked', async () => {
    const made = await api.post(CONFIGS, { metadata: { generateName: 'g-' } });
    expect(made.body.metadata.name).toMatch(/^g-[a-z0-9]{5}$/);
    expect((await api.post(CONFIGS, config('Bad_Name'))).body).toMatchObject({ code: 422, reason: 'Invalid' });
    expect((await api.post(CONFIGS, { metadata: {} })).body).toMatchObject({
      code: 422,
      message: expect.stringContaining('name or generateName is required'),
    });
    const elsewhere = await api.post(CONFIGS, config('x', { metadata: { name: 'x', namespace: 'other' } }));
    expect(elsewhere.body).toMatchObject({
      code: 400,
      message: expect.stringContaining('does not match the namespace'),
    });
    expect((await api.post('/api/v1/namespaces/nope/configmaps', config('x'))).body).toMatchObject({
      code: 404,
      message: 'namespaces "nope" not found',
    });
  });

  test('a dry run keeps nothing', async () => {
    expect((await api.post(`${CONFIGS}?dryRun=All`, config('dry'))).code).toBe(201);
    expect((await api.get(`${CONFIGS}/dry`)).code).toBe(404);
    expect((await api.post(`${CONFIGS}?dryRun=some`, config('dry'))).code).toBe(400);
  });

  test('unknown and repeated fields: refused, told or ignored', async () => {
    const text = '{"metadata":{"name":"fields"},"data":{"a":"1","a":"2"},"foo":1}';
    const strict = await api.call('POST', `${CONFIGS}?fieldValidation=Strict`, text);
    expect(strict.body).toMatchObject({
      code: 400,
      message: expect.stringContaining('strict decoding error: unknown field "foo", duplicate field "data.a"'),
    });
    const warned = await api.call('POST', `${CONFIGS}?dryRun=All`, text);
    expect(warned.code).toBe(201);
    expect(String(warned.headers['warning'])).toContain('unknown field \\"foo\\"');
    const ignored = await api.call('POST', `${CONFIGS}?dryRun=All&fieldValidation=Ignore`, text);
    expect(ignored.headers['warning']).toBeUndefined();
    expect(ignored.body).not.toHaveProperty('foo');
  });

  test('YAML is taken', async () => {
    const yaml = 'kind: ConfigMap\napiVersion: v1\nmetadata: {name: yaml}\ndata: {a: "1"}\n';
    const answer = await api.call('POST', CONFIGS, yaml, { 'content-type': 'application/yaml' });
    expect(answer.body).toMatchObject({ data: { a: '1' } });
  });

  test('secrets: stringData is encoded; immutable means it', async () => {
    const secrets = '/api/v1/namespaces/default/secrets';
    const made = await api.post(secrets, { metadata: { name: 's' }, stringData: { a: 'b' }, immutable: true });
    expect(made.body).toMatchObject({ type: 'Opaque', data: { a: 'Yg==' } });
    expect((await api.patch(`${secrets}/s`, 'merge', { data: { a: 'Yw==' } })).body).toMatchObject({ code: 422 });
    expect((await api.get(`${secrets}?fieldSelector=type%3DOpaque`)).body.items).toHaveLength(1);
  });

  test('leases: an update creates, but never without a resourceVersion', async () => {
    const lease = { metadata: { name: 'l' }, spec: { holderIdentity: 'me', leaseDurationSeconds: 40 } };
    expect((await api.put(`${LEASES}/l`, lease)).code).toBe(201);
    expect((await api.put(`${LEASES}/l`, lease)).body).toMatchObject({ code: 422 });
  });

  test('a write to many objects at once is one write each, and none is lost', async () => {
    const names = Array.from({ length: 100 }, (_, index) => `many-${index}`);
    await Promise.all(
      names.map((name) => api.post(CONFIGS, config(name, { metadata: { name, labels: { many: 'yes' } } }))),
    );
    const listed = await api.get(`${CONFIGS}?labelSelector=many%3Dyes`);
    expect(listed.body.items).toHaveLength(100);
    expect(new Set(listed.body.items.map((item) => item.metadata.resourceVersion)).size).toBe(100);
    const removed = await api.delete(`${CONFIGS}?labelSelector=many`);
    expect(removed.body.items).toHaveLength(100);
    expect((await api.get(`${CONFIGS}?labelSelector=many`)).body.items).toEqual([]);
  });
});

describe('patches', () => {
  test('JSON, merge, strategic; server-side apply is refused', async () => {
    await api.post(CONFIGS, config('patched', { data: { a: '1', b: '2' } }));
    const path = `${CONFIGS}/patched`;
    expect((await api.patch(path, 'merge', { data: { a: null } })).body).toMatchObject({ data: { b: '2' } });
    expect((await api.patch(path, 'json', [{ op: 'add', path: '/data/c', value: '3' }])).body).toMatchObject({
      data: { b: '2', c: '3' },
    });
    expect((await api.patch(path, 'strategic-merge', { metadata: { labels: { x: 'y' } } })).body).toMatchObject({
      metadata: { labels: { x: 'y' } },
    });
    const failed = await api.patch(path, 'json', [{ op: 'test', path: '/data/c', value: 'no' }]);
    expect(failed.code).toBe(422);
    const apply = await api.call('PATCH', `${path}?fieldManager=me`, '{}', {
      'content-type': 'application/apply-patch+yaml',
    });
    expect(apply.body).toMatchObject({
      code: 415,
      reason: 'UnsupportedMediaType',
      message: expect.stringContaining('server-side apply'),
    });
    const stale = await api.patch(path, 'merge', { metadata: { resourceVersion: '1' }, data: { z: '1' } });
    expect(stale.body).toMatchObject({ code: 409 });
    expect((await api.patch(`${CONFIGS}/none`, 'merge', {})).code).toBe(404);
  });

  test('fifty concurrent patches of one object all count', async () => {
    await api.post(CONFIGS, config('counted'));
    const one = (index: number) => api.patch(`${CONFIGS}/counted`, 'merge', { data: { [`k${index}`]: 'x' } });
    await Promise.all(Array.from({ length: 50 }, (_, index) => one(index)));
    const { body } = await api.get(`${CONFIGS}/counted`);
    expect(Object.keys(body['data'] as object)).toHaveLength(50);
  });
});

describe('lists', () => {
  test('pages show one moment; a page that is too old says how to go on', async () => {
    for (const name of ['pa', 'pb', 'pc', 'pd'])
      await api.post(CONFIGS, config(name, { metadata: { name, labels: { page: '1' } } }));
    const query = `${CONFIGS}?labelSelector=page&limit=2`;
    const first = await api.get(query);
    const token = (first.body.metadata as { continue?: string }).continue ?? '';
    expect(first.body.items.map((item) => item.metadata.name)).toEqual(['pa', 'pb']);
    await api.delete(`${CONFIGS}/pc`);
    const second = await api.get(`${query}&continue=${token}`);
    expect(second.body.items.map((item) => item.metadata.name)).toEqual(['pc', 'pd']);
    expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);

    for (let index = 0; index < 60; index++) await api.patch(`${CONFIGS}/pa`, 'merge', { data: { n: String(index) } });
    const late = await api.get(`${query}&continue=${token}`);
    expect(late.body).toMatchObject({ code: 410, reason: 'Expired' });
    const anew = (late.body.metadata as { continue?: string }).continue ?? '';
    const rest = await api.get(`${query}&continue=${anew}`);
    expect(rest.body.items.map((item) => item.metadata.name)).toEqual(['pd']);
    expect((await api.get(`${query}&continue=garbage`)).code).toBe(400);
  });

  test('revisions: any, exact, future, nonsense', async () => {
    const now = (await api.get(CONFIGS)).body.metadata.resourceVersion ?? '';
    await api.post(CONFIGS, config('after'));
    expect((await api.get(`${CONFIGS}?resourceVersion=0`)).code).toBe(200);
    const exact = await api.get(`${CONFIGS}?resourceVersion=${now}&resourceVersionMatch=Exact`);
    expect(exact.body.items.map((item) => item.metadata.name)).not.toContain('after');
    expect((await api.get(`${CONFIGS}?resourceVersion=999999`)).body).toMatchObject({ code: 504, reason: 'Timeout' });
    expect((await api.get(`${CONFIGS}?resourceVersion=abc`)).code).toBe(400);
    expect((await api.get(`${CONFIGS}?fieldSelector=spec.foo%3D1`)).body).toMatchObject({
      code: 400,
      message: expect.stringContaining('field label not supported'),
    });
  });

  test('tables', async () => {
    await api.post(PODS, podManifest('table'));
    const table = await api.call('GET', `${PODS}?fieldSelector=metadata.name%3Dtable`, undefined, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    });
    expect(table.body).toMatchObject({ kind: 'Table', rows: [{ object: { kind: 'PartialObjectMetadata' } }] });
    const { columnDefinitions, rows } = table.body as unknown as {
      columnDefinitions: { name: string }[];
      rows: { cells: unknown[] }[];
    };
    expect(columnDefinitions.map(({ name }) => name).slice(0, 5)).toEqual([
      'Name',
      'Ready',
      'Status',
      'Restarts',
      'Age',
    ]);
    expect(rows[0]?.cells.slice(0, 3)).toEqual(['table', '0/1', 'Pending']);
    expect((await api.call('GET', PODS, undefined, { accept: 'text/html' })).code).toBe(406);
  });
});

describe('Pods', () => {
  test('binding, status, and deletion to the end', async () => {
    await api.post(PODS, podManifest('bound', { schedulerName: 'none' }));
    const path = `${PODS}/bound`;
    expect((await api.post(`${path}/binding`, { target: { kind: 'Node', name: 'edge' } })).code).toBe(201);
    const twice = await api.post(`${path}/binding`, { target: { kind: 'Node', name: 'edge' } });
    expect(twice.body).toMatchObject({
      code: 409,
      message: expect.stringContaining('already assigned to node "edge"'),
    });
    const status = await api.patch(`${path}/status`, 'strategic-merge', {
      spec: { nodeName: 'x' },
      status: { phase: 'Running' },
    });
    expect(status.body).toMatchObject({
      spec: { nodeName: 'edge' },
      status: { phase: 'Running', qosClass: 'BestEffort' },
    });
    const main = await api.patch(path, 'merge', { status: { phase: 'Failed' } });
    expect(main.body).toMatchObject({ status: { phase: 'Running' } });
    expect(
      (await api.get(`/api/v1/pods?fieldSelector=spec.nodeName%3Dedge,status.phase%3DRunning`)).body.items,
    ).toHaveLength(1);

    const terminating = await api.delete(path);
    expect(terminating.body.metadata).toMatchObject({
      deletionGracePeriodSeconds: 30,
      deletionTimestamp: expect.any(String),
    });
    expect((await api.get(path)).code).toBe(200);
    const uid = terminating.body.metadata.uid;
    expect((await api.delete(path, { gracePeriodSeconds: 0, preconditions: { uid } })).code).toBe(200);
    expect((await api.get(path)).code).toBe(404);
  });

  test('one that runs nowhere goes at once; eviction deletes', async () => {
    await api.post(PODS, podManifest('loose', { schedulerName: 'none' }));
    expect(
      (
        await api.post(`${PODS}/loose/eviction`, {
          apiVersion: 'policy/v1',
          kind: 'Eviction',
          metadata: { name: 'loose' },
        })
      ).code,
    ).toBe(201);
    expect((await api.get(`${PODS}/loose`)).code).toBe(404);
  });

  test('what they need must be there', async () => {
    expect((await api.post(PODS, podManifest('x', { runtimeClassName: 'none' }))).body).toMatchObject({
      code: 403,
      reason: 'Forbidden',
    });
    expect((await api.post(PODS, podManifest('x', { serviceAccountName: 'none' }))).body).toMatchObject({ code: 403 });
    expect((await api.post(PODS, podManifest('x', { containers: [] }))).body).toMatchObject({
      code: 422,
      details: { causes: [{ field: 'spec.containers' }] },
    });
  });

  test('finalizers hold an object in deletion', async () => {
    await api.post(CONFIGS, config('held', { metadata: { name: 'held', finalizers: ['example.com/x'] } }));
    const path = `${CONFIGS}/held`;
    expect((await api.delete(path)).body.metadata).toMatchObject({ deletionTimestamp: expect.any(String) });
    const added = await api.patch(path, 'merge', { metadata: { finalizers: ['example.com/x', 'example.com/y'] } });
    expect(added.body).toMatchObject({ code: 422 });
    expect((await api.patch(path, 'merge', { metadata: { finalizers: null } })).code).toBe(200);
    expect((await api.get(path)).code).toBe(404);
  });
});

describe('service account tokens', () => {
  const path = '/api/v1/namespaces/default/serviceaccounts/default/token';

  test('are bound to a Pod and its UID, and end with it', async () => {
    const pod = await api.post(PODS, podManifest('holder', { schedulerName: 'none' }));
    const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'holder', uid: pod.body.metadata.uid };
    const made = await api.post(path, { spec: { audiences: [], expirationSeconds: 600, boundObjectRef } });
    expect(made.code).toBe(201);
    const { token, expirationTimestamp } = made.body.status as { token: string; expirationTimestamp: string };
    expect(Date.parse(expirationTimestamp)).toBeGreaterThan(0);
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(claims).toMatchObject({
      sub: 'system:serviceaccount:default:default',
      'kubernetes.io': { pod: { name: 'holder' } },
    });

    const asAccount = { authorization: `Bearer ${token}` };
    expect((await api.call('GET', '/api', undefined, asAccount)).code).toBe(200);
    expect((await api.call('GET', PODS, undefined, asAccount)).body).toMatchObject({ code: 403, reason: 'Forbidden' });
    expect((await api.call('GET', '/api', undefined, { authorization: `Bearer ${token}x` })).code).toBe(401);
    await api.delete(`${PODS}/holder`);
    expect((await api.call('GET', '/api', undefined, asAccount)).code).toBe(401);
  });

  test('what can not be is refused', async () => {
    expect((await api.post(path, { spec: { expirationSeconds: 5 } })).body).toMatchObject({ code: 422 });
    const other = { kind: 'Pod', apiVersion: 'v1', name: 'none' };
    expect((await api.post(path, { spec: { boundObjectRef: other } })).code).toBe(404);
    expect((await api.post(path.replace('/default/token', '/none/token'), { spec: {} })).code).toBe(404);
  });
});
