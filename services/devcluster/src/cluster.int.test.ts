// What the controllers inside do, seen through the API: definitions, scheduling, node lifecycle, garbage collection, namespaces.
import { expect, test } from '@jest/globals';
import { objectsAt, textAt } from './api/objects.js';
import { type ApiClient, nodeManifest, podManifest, withDevcluster } from './testing/api-client.js';

const CONFIGS = '/api/v1/namespaces/default/configmaps';
const PODS = '/api/v1/namespaces/default/pods';
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const WIDGETS = '/apis/example.com/v1/namespaces/default/widgets';

const widgetSchema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: { size: { type: 'integer', minimum: 1, maximum: 9 }, color: { type: 'string', default: 'red' } },
    },
    status: { type: 'object', properties: { phase: { type: 'string' } } },
  },
};

const version = (name: string, storage: boolean) => ({
  name,
  served: true,
  storage,
  subresources: { status: {} },
  schema: { openAPIV3Schema: widgetSchema },
  additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
});

const widgetCrd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget' },
    versions: [version('v1', true), version('v1beta1', false)],
  },
};

const conditionOf = (object: unknown, type: string): string =>
  textAt(
    objectsAt(object, 'status', 'conditions').find((condition) => condition['type'] === type),
    'status',
  );

test('definitions make resources at run time, and take them along when they go', async () => {
  await withDevcluster({}, async (api) => {
    expect((await api.get(WIDGETS)).code).toBe(404);
    const made = await api.post(CRDS, widgetCrd);
    expect(made.code).toBe(201);
    expect(conditionOf(made.body, 'Established')).toBe('True');
    expect((await api.get('/apis/example.com')).body).toMatchObject({ preferredVersion: { version: 'v1' } });
    expect((await api.get('/openapi/v3/apis/example.com/v1')).text).toContain('"Widget"');

    const bad = await api.post(WIDGETS, { metadata: { name: 'w' }, spec: { size: 99 } });
    expect(bad.body).toMatchObject({
      code: 422,
      details: { group: 'example.com', kind: 'Widget', causes: [{ field: 'spec.size' }] },
    });
    const widget = await api.post(WIDGETS, {
      metadata: { name: 'w' },
      spec: { size: 3, extra: 1 },
      status: { phase: 'x' },
    });
    expect(widget.body).toMatchObject({ metadata: { generation: 1 }, spec: { size: 3, color: 'red' } });
    expect(widget.body).not.toHaveProperty('status');
    expect(widget.body.spec).not.toHaveProperty('extra');

    const status = await api.patch(`${WIDGETS}/w/status`, 'merge', { spec: { size: 5 }, status: { phase: 'Ready' } });
    expect(status.body).toMatchObject({ metadata: { generation: 1 }, spec: { size: 3 }, status: { phase: 'Ready' } });
    expect((await api.patch(`${WIDGETS}/w`, 'merge', { spec: { size: 4 } })).body.metadata.generation).toBe(2);
    expect((await api.patch(`${WIDGETS}/w`, 'strategic-merge', {})).code).toBe(415);
    expect((await api.put(`${WIDGETS}/w`, { metadata: { name: 'w' }, spec: { size: 4 } })).code).toBe(422);
    expect((await api.get(WIDGETS.replace('/v1/', '/v1beta1/'))).body.items[0]).toMatchObject({
      apiVersion: 'example.com/v1beta1',
    });

    const table = await api.call('GET', WIDGETS, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
    expect(table.body).toMatchObject({ rows: [{ cells: ['w', 4] }] });

    expect((await api.delete(`${CRDS}/widgets.example.com`)).code).toBe(200);
    await api.until(`${CRDS}/widgets.example.com`, (answer) => answer.code === 404);
    expect((await api.get(WIDGETS)).code).toBe(404);
    await api.post(CRDS, widgetCrd);
    expect((await api.get(WIDGETS)).body.items).toEqual([]);
  });
});

test('a definition that is not structural is refused', async () => {
  await withDevcluster({}, async (api) => {
    const broken = structuredClone(widgetCrd) as unknown as { spec: { versions: { schema: unknown }[] } };
    for (const item of broken.spec.versions)
      item.schema = { openAPIV3Schema: { type: 'object', properties: { spec: {} } } };
    const answer = await api.post(CRDS, broken);
    expect(answer.body).toMatchObject({
      code: 422,
      message: expect.stringContaining('properties[spec].type: Required value'),
    });
  });
});

async function addNode(api: ApiClient, name: string): Promise<void> {
  await api.post('/api/v1/nodes', nodeManifest(name));
  await api.until(`/api/v1/nodes/${name}`, ({ body }) => objectsAt(body.spec, 'taints').length === 0);
}

test('Pods are scheduled when a node fits, and say why when none does', async () => {
  await withDevcluster({}, async (api) => {
    await api.post(PODS, podManifest('p', { nodeSelector: { 'kubernetes.io/hostname': 'b' } }));
    const unscheduled = (text: string) =>
      api.until(`${PODS}/p`, ({ body }) => JSON.stringify(body.status).includes(text));
    await unscheduled('no nodes available');
    await addNode(api, 'a');
    await unscheduled("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector");
    await addNode(api, 'b');
    const bound = await api.until(`${PODS}/p`, ({ body }) => textAt(body.spec, 'nodeName') === 'b');
    expect(conditionOf(bound.body, 'PodScheduled')).toBe('True');
    const events = await api.until(
      `/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp`,
      ({ text }) => text.includes('"Scheduled"'),
    );
    expect(events.body.items.map((event) => event['reason'])).toContain('FailedScheduling');
  });
});

test('a silent node becomes unknown, is tainted, loses the Pods that do not tolerate it, and comes back', async () => {
  await withDevcluster({ nodeGracePeriodMs: 300 }, async (api) => {
    await addNode(api, 'a');
    const toleration = { operator: 'Exists' };
    await api.post(PODS, podManifest('stays', { nodeName: 'a', tolerations: [toleration] }));
    const limited = ['not-ready', 'unreachable'].map((key) => ({
      key: `node.kubernetes.io/${key}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 0,
    }));
    await api.post(PODS, podManifest('goes', { nodeName: 'a', tolerations: limited }));
    const silent = await api.until('/api/v1/nodes/a', ({ body }) => conditionOf(body, 'Ready') === 'Unknown');
    expect(JSON.stringify(silent.body.spec)).toContain('node.kubernetes.io/unreachable');
    await api.until(`${PODS}/goes`, ({ body }) => body.metadata.deletionTimestamp !== undefined);
    expect((await api.get(`${PODS}/stays`)).body.metadata.deletionTimestamp).toBeUndefined();
    await api.patch('/api/v1/nodes/a/status', 'strategic-merge', {
      status: { conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: '2024-01-01T00:01:00Z' }] },
    });
    await api.until('/api/v1/nodes/a', ({ body }) => objectsAt(body.spec, 'taints').length === 0);
  });
});

test('dependents follow their owners: background, foreground, orphan', async () => {
  await withDevcluster({}, async (api) => {
    for (const policy of ['Background', 'Foreground', 'Orphan']) {
      const owner = await api.post(CONFIGS, { metadata: { name: 'owner' } });
      const ownerReferences = [
        { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.body.metadata.uid, blockOwnerDeletion: true },
      ];
      await api.post(CONFIGS, { metadata: { name: 'child', ownerReferences } });
      await api.delete(`${CONFIGS}/owner`, { propagationPolicy: policy });
      await api.until(`${CONFIGS}/owner`, ({ code }) => code === 404);
      if (policy === 'Orphan') {
        const child = await api.until(`${CONFIGS}/child`, ({ body }) => body.metadata.ownerReferences === undefined);
        expect(child.code).toBe(200);
      } else await api.until(`${CONFIGS}/child`, ({ code }) => code === 404);
    }
  });
});

test('a namespace goes with all that is in it', async () => {
  await withDevcluster({}, async (api) => {
    await api.post('/api/v1/namespaces', { metadata: { name: 'work' } });
    const configs = '/api/v1/namespaces/work/configmaps';
    await api.post(configs, { metadata: { name: 'held', finalizers: ['example.com/x'] } });
    expect((await api.get('/api/v1/namespaces/work/serviceaccounts/default')).code).toBe(200);
    await api.delete('/api/v1/namespaces/work');
    const late = await api.post(configs, { metadata: { name: 'late' } });
    expect(late.body).toMatchObject({ code: 403, details: { causes: [{ reason: 'NamespaceTerminating' }] } });
    await api.until(`${configs}/held`, ({ body }) => body.metadata.deletionTimestamp !== undefined);
    await api.patch(`${configs}/held`, 'merge', { metadata: { finalizers: null } });
    await api.until('/api/v1/namespaces/work', ({ code }) => code === 404);
    expect((await api.delete('/api/v1/namespaces/default')).body).toMatchObject({ code: 403 });
  });
});
