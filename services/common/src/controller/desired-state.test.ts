// The desired state against an API in memory: what is kept, what is absent, and what may be deleted.
import { afterEach, describe, expect, test } from '@jest/globals';
import { KubeError } from '../kube/kube-error.js';
import { CONFIG_MAPS, PODS, type Pod } from '../kube/resources.js';
import { nullLogger } from '../logger.js';
import { fakeClock } from '../testing/fake-clock.js';
import { createDesiredState, type PlacedObject } from './desired-state.js';
import { entryOf } from './entry.js';
import { createFakeKube, turns, until } from './testing/fake-kube.js';

const keyOfPod = (pod: Pod): string => `pod/${pod.metadata?.namespace}/${pod.metadata?.name}/${pod.metadata?.uid}`;

function place(pod: Pod, wants: (node: string) => boolean): PlacedObject | undefined {
  const node = pod.spec?.nodeName ?? '';
  if (node === '' || !wants(node)) return undefined;
  const references = (pod.spec?.volumes ?? []).map((volume) => `configmap/default/${volume.configMap?.name}`);
  const uid = pod.metadata?.uid ?? '';
  return { key: keyOfPod(pod), node, entry: entryOf({ projection: 1, uid, content: { spec: pod.spec }, references }) };
}

function pod(name: string, nodeName: string, ...configMaps: string[]): Pod {
  const volumes = configMaps.map((configMap) => ({ name: configMap, configMap: { name: configMap } }));
  return { metadata: { namespace: 'default', name }, spec: { nodeName, containers: [], volumes } };
}

const configMap = (name: string, value: string) => ({ metadata: { namespace: 'default', name }, data: { value } });

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function build() {
  const kube = createFakeKube();
  const clock = fakeClock();
  const dirty: string[] = [];
  const served = { all: true };
  let completions = 0;
  const state = createDesiredState<Pod, PlacedObject>({
    client: kube.client,
    claims: { epochOf: () => (served.all ? 7 : undefined) },
    placement: { resource: PODS, kind: 'pod', place },
    followed: [
      (follow) =>
        follow({
          resource: CONFIG_MAPS,
          kind: 'configmap',
          entry: (object) =>
            entryOf({ projection: 1, uid: object.metadata?.uid ?? '', content: { data: object.data } }),
        }),
    ],
    onDirty: (node, key) => dirty.push(`${node} ${key}`),
    onComplete: () => {
      completions += 1;
    },
    clock,
    random: () => 0.5,
    logger: nullLogger(),
  });
  return { kube, clock, dirty, served, state, completions: () => completions };
}

type World = ReturnType<typeof build>;

async function started(prepare: (world: World) => Promise<void> = async () => {}): Promise<World> {
  const world = build();
  await prepare(world);
  await world.state.start();
  stops.push(async () => {
    const stopping = world.state.stop(new AbortController().signal);
    await turns();
    await stopping;
  });
  return world;
}

const keys = (world: World, node: string): string[] => [...world.state.index.versions(node)].map(([key]) => key).sort();

describe('desired state', () => {
  test('is complete once Pods and then everything they reference were listed', async () => {
    const world = await started(async ({ kube }) => {
      await kube.put(CONFIG_MAPS, configMap('used', '1'));
      await kube.put(CONFIG_MAPS, configMap('unused', '1'));
      await kube.put(PODS, pod('a', 'n1', 'used', 'missing'));
      await kube.put(PODS, pod('unbound', ''));
    });
    expect(world.state.complete()).toBe(false);
    await until(world.state.complete);
    const entries = Object.fromEntries([...world.state.index.versions('n1')]);
    expect(Object.keys(entries).sort()).toEqual([
      'configmap/default/missing',
      'configmap/default/used',
      expect.stringMatching('^pod/default/a/'),
    ]);
    expect(world.state.index.read('n1', 'configmap/default/missing')?.absent).toBe(true);
    expect(world.state.metrics().sizes).toEqual({ nodes: 1, placed: 1, targets: 2 });
    // Absent is what a live read said, not only a list.
    expect(world.kube.requests).toContain('get configmaps default/missing');
    expect(world.kube.requests).not.toContain('get configmaps default/used');
  });

  test('reads a new reference live once and follows it afterwards', async () => {
    const world = await started(async ({ kube }) => {
      await kube.put(CONFIG_MAPS, configMap('late', '1'));
    });
    await until(world.state.complete);
    await world.kube.put(PODS, pod('a', 'n1', 'late'));
    await until(() => keys(world, 'n1').includes('configmap/default/late'));
    const first = world.state.index.read('n1', 'configmap/default/late')?.version;
    await world.kube.put(CONFIG_MAPS, configMap('late', '2'));
    await until(() => world.state.index.read('n1', 'configmap/default/late')?.version !== first);
    await world.kube.remove(CONFIG_MAPS, { namespace: 'default', name: 'late' });
    await until(() => world.state.index.read('n1', 'configmap/default/late')?.absent === true);
    expect(world.kube.requests.filter((request) => request === 'get configmaps default/late')).toHaveLength(1);
  });

  test('hears of the deletion of a target that was read live and never changed', async () => {
    const world = await started(async ({ kube }) => {
      await kube.put(CONFIG_MAPS, configMap('quiet', '1'));
    });
    await until(world.state.complete);
    await world.kube.put(PODS, pod('a', 'n1', 'quiet'));
    await until(() => keys(world, 'n1').includes('configmap/default/quiet'));
    await world.kube.remove(CONFIG_MAPS, { namespace: 'default', name: 'quiet' });
    await until(() => world.state.index.read('n1', 'configmap/default/quiet')?.absent === true);
  });

  test('a live read that was overtaken by the watch changes nothing', async () => {
    const world = await started();
    await until(world.state.complete);
    const { kube } = world;
    kube.before = async (request) => {
      // The ConfigMap comes into being after the read's 404 was decided, and is heard of before the answer arrives.
      if (request !== 'get configmaps default/race') return;
      kube.before = () => {};
      await kube.put(CONFIG_MAPS, configMap('race', '1'));
      await until(() => world.state.index.read('n1', 'configmap/default/race') !== undefined);
      await kube.remove(CONFIG_MAPS, { namespace: 'default', name: 'race' });
      await until(() => world.state.index.read('n1', 'configmap/default/race')?.absent === true);
      await kube.put(CONFIG_MAPS, configMap('race', '2'));
      await until(() => world.state.index.read('n1', 'configmap/default/race')?.absent === false);
      throw new KubeError('not_found', 'what was true when the read was answered', { httpStatus: 404 });
    };
    await kube.put(PODS, pod('a', 'n1', 'race'));
    await until(() => world.state.index.read('n1', 'configmap/default/race')?.absent === false);
    await turns();
    expect(world.state.index.read('n1', 'configmap/default/race')?.absent).toBe(false);
  });

  test('nothing is confirmed absent while the lists are not through', async () => {
    const world = build();
    const source = world.state.source('n1');
    expect(source.complete()).toBe(false);
    expect(await source.confirmAbsent('pod/default/a/u1')).toBe(false);
    expect(await source.read('pod/default/a/u1')).toBeUndefined();
    expect(world.kube.requests).toEqual([]);
  });

  test('a Pod is absent after a 404, under another UID, or on another node; not while the watch is behind', async () => {
    const world = await started();
    await until(world.state.complete);
    const source = world.state.source('n1');
    expect(await source.confirmAbsent('pod/default/a/u1')).toBe(true);
    const stored = await world.kube.put(PODS, pod('a', 'n2'));
    expect(await source.confirmAbsent('pod/default/a/u1')).toBe(true);
    expect(await source.confirmAbsent(keyOfPod(stored))).toBe(true);

    const blind = build();
    await blind.state.start();
    await until(blind.state.complete);
    await blind.state.stop(new AbortController().signal);
    const unseen = await blind.kube.put(PODS, pod('a', 'n1'));
    const key = keyOfPod(unseen);
    expect(await blind.state.source('n1').confirmAbsent(key)).toBe(false);
    await expect(blind.state.source('n1').read(key)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('a target is absent for a node when no Pod there references it, whatever the index says', async () => {
    const blind = build();
    await blind.state.start();
    await until(blind.state.complete);
    await blind.state.stop(new AbortController().signal);
    const source = blind.state.source('n1');
    expect(await source.confirmAbsent('configmap/default/x')).toBe(true);
    await blind.kube.put(PODS, pod('elsewhere', 'n2', 'x'));
    expect(await source.confirmAbsent('configmap/default/x')).toBe(true);
    await blind.kube.put(PODS, pod('here', 'n1', 'x'));
    expect(await source.confirmAbsent('configmap/default/x')).toBe(false);
  });

  test('shards that are served no longer are forgotten, those gained are listed', async () => {
    const world = await started(async ({ kube, served }) => {
      served.all = false;
      await kube.put(CONFIG_MAPS, configMap('x', '1'));
      await kube.put(PODS, pod('a', 'n1', 'x'));
    });
    await until(world.state.complete);
    expect(keys(world, 'n1')).toEqual([]);
    world.served.all = true;
    world.state.reload();
    expect(world.state.complete()).toBe(false);
    await until(world.state.complete);
    expect(keys(world, 'n1')).toHaveLength(2);
    expect(world.state.source('n1').epoch()).toBe(7n);
    world.served.all = false;
    world.state.reload();
    await until(world.state.complete);
    expect(keys(world, 'n1')).toEqual([]);
    expect(world.state.metrics().sizes).toEqual({ nodes: 0, placed: 0, targets: 0 });
  });

  test('survives an API that goes away and forgets nothing', async () => {
    const world = await started(async ({ kube }) => {
      await kube.put(CONFIG_MAPS, configMap('x', '1'));
      await kube.put(PODS, pod('a', 'n1', 'x'));
    });
    await until(world.state.complete);
    const before = keys(world, 'n1');
    world.kube.down = true;
    world.kube.dropWatches();
    await world.clock.advance(120_000);
    expect(keys(world, 'n1')).toEqual(before);
    await world.kube.put(PODS, pod('b', 'n1', 'x'));
    world.kube.down = false;
    await world.clock.advance(60_000);
    await until(() => keys(world, 'n1').length === 3);
  });
});
