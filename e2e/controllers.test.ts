// The controllers between a Kubernetes API and edges, over the real link: what edges get, what becomes of what they report, and that
// nothing is lost or stopped by restarts on the way.
import { describe, expect, test } from '@jest/globals';
import type { Device, DeviceModel } from '@skerry/common/kube/device-types';
import { SYSTEM_NAMESPACE } from '@skerry/common/kube/join-token';
import { isNotFound } from '@skerry/common/kube/kube-error';
import {
  CONFIG_MAPS,
  DEVICE_MODELS,
  DEVICE_STATUSES,
  DEVICES,
  EVENTS,
  LEASES,
  NODES,
  PODS,
  type Pod,
  SECRETS,
} from '@skerry/common/kube/resources';
import { shardOf } from '@skerry/common/kube/shard';
import { Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import { type Cloud, eventually, withCloud } from './support/cloud.js';
import type { Edge } from './support/edge.js';

const namespace = 'default';
const TIMEOUT_MS = 90_000;

async function register(cloud: Cloud, node: string): Promise<Edge> {
  const edge = await cloud.edge(node);
  const conditions = [{ type: 'Ready', status: 'True', lastHeartbeatTime: new Date().toISOString() }];
  edge.report(`node//${node}`, {
    metadata: { name: node, labels: { 'kubernetes.io/hostname': node, 'skerry.dev/site': 'north', 'evil/label': 'x' } },
    status: {
      conditions,
      capacity: { cpu: '2', memory: '1Gi', pods: '50' },
      allocatable: { cpu: '2', memory: '1Gi', pods: '50' },
    },
  });
  await eventually(() => edge.settlement(`node//${node}`), 'the node registers');
  return edge;
}

const pod = (name: string, nodeName: string, spec: object = {}): Pod => ({
  metadata: { name, namespace },
  spec: { nodeName, containers: [{ name: 'main', image: 'busybox' }], ...spec },
});

async function create(cloud: Cloud, wanted: Pod): Promise<{ key: string; statusKey: string; uid: string }> {
  const { metadata } = await cloud.kube.create(PODS, wanted);
  const path = `${namespace}/${metadata?.name}/${metadata?.uid}`;
  return { key: `pod/${path}`, statusKey: `podstatus/${path}`, uid: metadata?.uid ?? '' };
}

const arrived = (edge: Edge, key: string) => eventually(() => edge.down.get(key), `${key} at ${edge.node}`);
const left = (edge: Edge, key: string) => eventually(() => !edge.down.has(key), `${key} away from ${edge.node}`);
const settled = (edge: Edge, key: string) => eventually(() => edge.settlement(key), `an answer for ${key}`);
const livePod = (cloud: Cloud, name: string) =>
  cloud.kube.get(PODS, { namespace, name }).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
const running = { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } };

describe('Pods', () => {
  test(
    'go down with all they need, report, and end when they have stopped',
    () =>
      withCloud(async (cloud) => {
        const edge = await register(cloud, 'edge-1');
        expect((await cloud.kube.get(NODES, { name: 'edge-1' })).metadata?.labels).toMatchObject({
          'node-role.kubernetes.io/edge': '',
          'skerry.dev/site': 'north',
        });
        await cloud.kube.create(CONFIG_MAPS, { metadata: { name: 'conf', namespace }, data: { a: '1' } });
        await cloud.kube.create(SECRETS, { metadata: { name: 'key', namespace }, data: { k: 'dg==' } });
        const volumes = [
          { name: 'conf', configMap: { name: 'conf' } },
          { name: 'key', secret: { secretName: 'key' } },
          { name: 'none', configMap: { name: 'missing', optional: true } },
        ];
        const web = await create(cloud, pod('web', 'edge-1', { volumes }));

        expect((await arrived(edge, web.key)).references).toEqual(
          expect.arrayContaining([
            `configmap/${namespace}/conf`,
            `configmap/${namespace}/missing`,
            `secret/${namespace}/key`,
          ]),
        );
        await arrived(edge, `configmap/${namespace}/conf`);
        expect(edge.object(`configmap/${namespace}/conf`)).toMatchObject({ data: { a: '1' } });
        await arrived(edge, `secret/${namespace}/key`);
        expect(edge.object(`secret/${namespace}/key`)).toMatchObject({ data: { k: 'dg==' } });
        expect((await arrived(edge, `configmap/${namespace}/missing`)).absent).toBe(true);

        await cloud.kube.create(CONFIG_MAPS, { metadata: { name: 'missing', namespace }, data: { late: 'yes' } });
        await eventually(() => edge.object(`configmap/${namespace}/missing`), 'the late ConfigMap');
        await cloud.kube.patch(CONFIG_MAPS, { namespace, name: 'conf' }, { type: 'merge', body: { data: { a: '2' } } });
        await eventually(
          () => JSON.stringify(edge.object(`configmap/${namespace}/conf`)).includes('"2"'),
          'the edited ConfigMap',
        );

        edge.report(web.statusKey, running);
        expect(await settled(edge, web.statusKey)).toMatchObject({ outcome: Done_Outcome.OUTCOME_APPLIED });
        expect((await livePod(cloud, 'web'))?.status?.phase).toBe('Running');
        edge.event({
          involvedObject: { kind: 'Pod', apiVersion: 'v1', namespace, name: 'web', uid: web.uid },
          type: 'Normal',
          reason: 'Started',
          message: 'container main',
          timestamp: new Date().toISOString(),
          component: 'engine',
        });
        await eventually(() => edge.eventsDone() === 1, 'the event is done');
        const { items } = await cloud.kube.list(EVENTS, { namespace });
        expect(items.filter(({ reason }) => reason === 'Started')).toHaveLength(1);

        await cloud.kube.delete(PODS, { namespace, name: 'web' });
        await eventually(
          () => JSON.stringify(edge.object(web.key)).includes('deletionTimestamp'),
          'the deletion at the edge',
        );
        expect(await livePod(cloud, 'web')).toBeDefined();
        edge.report(web.statusKey, { status: { phase: 'Succeeded' }, stopped: true });
        await eventually(async () => (await livePod(cloud, 'web')) === undefined, 'the end of the Pod');
        for (const key of [web.key, `configmap/${namespace}/conf`, `secret/${namespace}/key`]) await left(edge, key);
        expect(edge.down.size).toBe(0);
      }),
    TIMEOUT_MS,
  );

  test(
    "of one name never share a status, and no node speaks of another's",
    () =>
      withCloud(async (cloud) => {
        const [edge, other] = [await register(cloud, 'edge-1'), await register(cloud, 'edge-2')];
        const first = await create(cloud, pod('web', 'edge-1'));
        await arrived(edge, first.key);
        await cloud.kube.delete(PODS, { namespace, name: 'web' }, { gracePeriodSeconds: 0 });
        const second = await create(cloud, pod('web', 'edge-1'));
        await arrived(edge, second.key);
        await left(edge, first.key);

        edge.report(first.statusKey, { status: { phase: 'Failed' }, stopped: true });
        expect(await settled(edge, first.statusKey)).toMatchObject({ outcome: Done_Outcome.OUTCOME_GONE });
        other.report(second.statusKey, { status: { phase: 'Failed' } });
        expect(await settled(other, second.statusKey)).toMatchObject({
          outcome: Done_Outcome.OUTCOME_REJECTED,
          code: 'Forbidden',
        });
        const live = await livePod(cloud, 'web');
        expect(live?.metadata?.uid).toBe(second.uid);
        expect(live?.status?.phase).not.toBe('Failed');
        expect(other.down.size).toBe(0);
      }),
    TIMEOUT_MS,
  );

  test(
    'are left alone by a controller that restarts, and catch up with what happened meanwhile',
    () =>
      withCloud(async (cloud) => {
        const edge = await register(cloud, 'edge-1');
        await cloud.kube.create(CONFIG_MAPS, { metadata: { name: 'conf', namespace }, data: {} });
        const volumes = [{ name: 'conf', configMap: { name: 'conf' } }];
        const [kept, gone] = [
          await create(cloud, pod('kept', 'edge-1', { volumes })),
          await create(cloud, pod('gone', 'edge-1')),
        ];
        edge.report(kept.statusKey, running);
        await settled(edge, kept.statusKey);
        await arrived(edge, gone.key);

        await cloud.kubeController.stop();
        await eventually(() => !edge.attached('kube'), 'the controller away');
        await cloud.kube.delete(PODS, { namespace, name: 'gone' }, { gracePeriodSeconds: 0 });
        const added = await create(cloud, pod('added', 'edge-1'));
        // Somebody overwrites what was reported, as the node lifecycle controller does.
        const body = { status: { conditions: [{ type: 'Ready', status: 'False' }] } };
        await cloud.kube.patch(PODS, { namespace, name: 'kept' }, { type: 'merge', body }, { subresource: 'status' });

        await cloud.startEdgeController();
        await arrived(edge, added.key);
        await left(edge, gone.key);
        await eventually(async () => {
          const conditions = (await livePod(cloud, 'kept'))?.status?.conditions;
          return conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
        }, 'the status said again');
        expect(edge.deleted).toEqual([gone.key]);
      }),
    TIMEOUT_MS,
  );

  test(
    'whose Ready is overwritten while their node is there get it back',
    () =>
      withCloud(async (cloud) => {
        const edge = await register(cloud, 'edge-1');
        const web = await create(cloud, pod('web', 'edge-1'));
        edge.report(web.statusKey, running);
        await settled(edge, web.statusKey);
        const body = { status: { conditions: [{ type: 'Ready', status: 'False' }] } };
        await cloud.kube.patch(PODS, { namespace, name: 'web' }, { type: 'merge', body }, { subresource: 'status' });
        await eventually(async () => {
          const conditions = (await livePod(cloud, 'web'))?.status?.conditions;
          return conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
        }, 'Ready again');
      }),
    TIMEOUT_MS,
  );

  test(
    'survive a restart of the API server under load: nothing is deleted, every last status is written',
    () =>
      withCloud(async (cloud) => {
        const edge = await register(cloud, 'edge-1');
        const pods: { key: string; statusKey: string }[] = [];
        for (let n = 0; n < 20; n++) pods.push(await create(cloud, pod(`load-${n}`, 'edge-1')));
        for (const { key } of pods) await arrived(edge, key);
        const say = (round: number): void => {
          for (const { statusKey } of pods)
            edge.report(statusKey, { status: { phase: 'Running', message: `round ${round}` } });
        };
        say(1);
        await cloud.devcluster.stop();
        for (let round = 2; round <= 10; round++) {
          say(round);
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        await cloud.devcluster.start();
        for (let n = 0; n < 20; n++)
          await eventually(
            async () => (await livePod(cloud, `load-${n}`))?.status?.message === 'round 10',
            `the last status of load-${n}`,
          );
        const added = await create(cloud, pod('after', 'edge-1'));
        await arrived(edge, added.key);
        expect(edge.deleted).toEqual([]);
      }),
    TIMEOUT_MS,
  );

  test(
    "are served by whichever replica holds their shard, through a replica's coming and going",
    () =>
      withCloud(async (cloud) => {
        const edges: Edge[] = [];
        for (let n = 0; n < 6; n++) edges.push(await register(cloud, `edge-${n}`));
        const deliver = async (name: string): Promise<void> => {
          for (const edge of edges) {
            const { key, statusKey } = await create(cloud, pod(`${name}-${edge.node}`, edge.node));
            await arrived(edge, key);
            edge.report(statusKey, running);
            expect(await settled(edge, statusKey)).toMatchObject({ outcome: Done_Outcome.OUTCOME_APPLIED });
          }
        };
        await deliver('one');
        const second = await cloud.startEdgeController('edgecontroller-1');
        await eventually(() => second.stats()['shards'] === 32, 'half of the shards for the second replica');
        await deliver('two');
        await cloud.kubeController.stop();
        await eventually(() => second.stats()['shards'] === 64, 'all shards for the replica that stays');
        await deliver('three');
        for (const { deleted, down } of edges) expect([deleted, down.size]).toEqual([[], 3]);
      }),
    TIMEOUT_MS,
  );

  test(
    'on an autonomous node are never evicted for its absence',
    () =>
      withCloud(async (cloud) => {
        await register(cloud, 'edge-1');
        const tolerations = ['not-ready', 'unreachable'].map((taint) => ({
          key: `node.kubernetes.io/${taint}`,
          operator: 'Exists',
          effect: 'NoExecute',
          tolerationSeconds: 300,
        }));
        await create(cloud, pod('web', 'edge-1', { tolerations }));
        const body = { metadata: { annotations: { 'skerry.dev/autonomy': 'true' } } };
        await cloud.kube.patch(NODES, { name: 'edge-1' }, { type: 'merge', body });
        const lifted = async (name: string) => {
          const live = (await livePod(cloud, name))?.spec?.tolerations ?? [];
          return live.length >= 2 && live.every(({ tolerationSeconds }) => tolerationSeconds === undefined);
        };
        await eventually(() => lifted('web'), 'tolerations of a Pod that was there');
        await create(cloud, pod('later', 'edge-1', { tolerations }));
        await eventually(() => lifted('later'), 'tolerations of a Pod that came later');
      }),
    TIMEOUT_MS,
  );
});

describe('Shards', () => {
  test(
    'are served on under a higher epoch after somebody deleted their Lease, however soon',
    () =>
      withCloud(async (cloud) => {
        const edge = await register(cloud, 'edge-1');
        const first = await create(cloud, pod('first', 'edge-1'));
        await arrived(edge, first.key);
        for (const name of ['second', 'third']) {
          const before = edge.epoch('kube');
          const lease = `edgecontroller-shard-${shardOf('edge-1')}`;
          await cloud.kube.delete(LEASES, { namespace: SYSTEM_NAMESPACE, name: lease });
          await eventually(() => edge.epoch('kube') !== before, 'the shard is claimed anew');
          expect(edge.epoch('kube')).toBeGreaterThan(before);
          const next = await create(cloud, pod(name, 'edge-1'));
          await arrived(edge, next.key);
        }
        expect(edge.deleted).toEqual([]);
      }),
    TIMEOUT_MS,
  );
});

describe('Devices', () => {
  const model = (name: string, type = 'INT'): DeviceModel => ({
    metadata: { name, namespace },
    spec: { protocol: 'modbus', properties: [{ name: 'rpm', type: type as 'INT', accessMode: 'ReadWrite' }] },
  });
  const device = (name: string, nodeName: string, modelName: string): Device => ({
    metadata: { name, namespace },
    spec: {
      nodeName,
      deviceModelRef: { name: modelName },
      protocol: { protocolName: 'modbus', configData: {} },
      properties: [{ name: 'rpm', desired: { value: '1500' } }],
    },
  });
  const KEY = `device/${namespace}/pump`;
  const MODEL_KEY = `devicemodel/${namespace}/pumps`;
  const STATUS_KEY = `devicestatus/${namespace}/pump`;
  const reading = (value: string, property = 'rpm') => ({
    metadata: { namespace, name: 'pump' },
    status: { state: 'online', twins: [{ propertyName: property, reported: { value, metadata: { type: 'int' } } }] },
  });
  const liveStatus = (cloud: Cloud) => cloud.kube.get(DEVICE_STATUSES, { namespace, name: 'pump' });
  const value = async (cloud: Cloud) => (await liveStatus(cloud)).status?.twins?.[0]?.reported?.value;

  test(
    'go down with their model, report, move and end',
    () =>
      withCloud(async (cloud) => {
        const [edge, other] = [await register(cloud, 'edge-1'), await register(cloud, 'edge-2')];
        await cloud.kube.create(DEVICE_MODELS, model('pumps'));
        const { metadata } = await cloud.kube.create(DEVICES, device('pump', 'edge-1', 'pumps'));
        await arrived(edge, KEY);
        await arrived(edge, MODEL_KEY);
        expect(edge.object(MODEL_KEY)).toMatchObject({ spec: { protocol: 'modbus' } });
        await eventually(
          async () => (await liveStatus(cloud)).metadata?.ownerReferences?.[0]?.uid === metadata?.uid,
          'the DeviceStatus, owned by its Device',
        );

        for (let n = 1; n <= 200; n++) edge.report(STATUS_KEY, reading(String(n)));
        await eventually(async () => (await value(cloud)) === '200', 'the newest value');
        other.report(STATUS_KEY, reading('9'));
        expect(await settled(other, STATUS_KEY)).toMatchObject({ code: 'Forbidden' });
        edge.report(STATUS_KEY, reading('9', 'colour'));
        await settled(edge, STATUS_KEY);

        const unit = { spec: { properties: [{ name: 'rpm', type: 'INT', accessMode: 'ReadWrite', unit: 'rpm' }] } };
        await cloud.kube.patch(DEVICE_MODELS, { namespace, name: 'pumps' }, { type: 'merge', body: unit });
        await eventually(() => JSON.stringify(edge.object(MODEL_KEY)).includes('"unit"'), 'the changed model');

        const moved = { spec: { nodeName: 'edge-2' } };
        await cloud.kube.patch(DEVICES, { namespace, name: 'pump' }, { type: 'merge', body: moved });
        await arrived(other, KEY);
        await arrived(other, MODEL_KEY);
        await left(edge, KEY);
        await left(edge, MODEL_KEY);
        edge.report(STATUS_KEY, reading('10'));
        expect(await settled(edge, STATUS_KEY)).toMatchObject({ code: 'Forbidden' });
        expect(await value(cloud)).toBe('200');

        await cloud.kube.delete(DEVICES, { namespace, name: 'pump' });
        await left(other, KEY);
        await left(other, MODEL_KEY);
        other.report(STATUS_KEY, reading('11'));
        expect(await settled(other, STATUS_KEY)).toMatchObject({ outcome: Done_Outcome.OUTCOME_GONE });
      }),
    TIMEOUT_MS,
  );

  test(
    'say what is wrong with them',
    () =>
      withCloud(async (cloud) => {
        const edge = await register(cloud, 'edge-1');
        await cloud.kube.create(DEVICES, device('pump', 'edge-1', 'pumps'));
        await arrived(edge, KEY);
        expect((await arrived(edge, MODEL_KEY)).absent).toBe(true);
        const reasons = async () => {
          const { items } = await cloud.kube.list(EVENTS, { namespace });
          return items.filter(({ involvedObject }) => involvedObject.kind === 'Device').map(({ reason }) => reason);
        };
        await eventually(async () => (await reasons()).includes('UnknownModel'), 'the Event on the missing model');
        await cloud.kube.create(DEVICE_MODELS, model('pumps', 'BOOLEAN'));
        await eventually(async () => (await reasons()).includes('ValueNotFitting'), 'the Event on the value');
      }),
    TIMEOUT_MS,
  );

  test(
    'lose no value to a controller that restarts',
    () =>
      withCloud(async (cloud) => {
        const edge = await register(cloud, 'edge-1');
        await cloud.kube.create(DEVICE_MODELS, model('pumps'));
        await cloud.kube.create(DEVICES, device('pump', 'edge-1', 'pumps'));
        await arrived(edge, KEY);
        edge.report(STATUS_KEY, reading('1'));
        await settled(edge, STATUS_KEY);
        await cloud.deviceController.stop();
        expect(await value(cloud)).toBe('1');
        edge.report(STATUS_KEY, reading('2'));
        await cloud.startDeviceController();
        await eventually(async () => (await value(cloud)) === '2', 'the value reported meanwhile');
        expect(edge.deleted).toEqual([]);
      }),
    TIMEOUT_MS,
  );
});
