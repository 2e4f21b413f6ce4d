// The link of a controller: which nodes have a lane session, on which channel, and for how long.
import { describe, expect, test } from '@jest/globals';
import { Controller, EdgeHello, Lane } from '@skerry/gen/skerry/link/v1/link';
import { SkerryError } from '../errors.js';
import { shardOf } from '../kube/shard.js';
import type { Body, Channel, Envelope, LaneSession } from '../link/types.js';
import { nullLogger } from '../logger.js';
import { fakeClock } from '../testing/fake-clock.js';
import { createControllerLink, type NodeEnd } from './controller-link.js';
import { createFakeChannel, type FakeChannel } from './testing/fake-channel.js';

function setUp(hubs: readonly string[] = ['hub-a:1']) {
  const clock = fakeClock();
  const log: string[] = [];
  const owned = new Map(Array.from({ length: 64 }, (_, shard) => [shard, 5]));
  const dialled: FakeChannel[] = [];
  const refusals: SkerryError[] = [];
  const link = createControllerLink({
    kind: Controller.CONTROLLER_KUBE,
    hubs,
    dial: async () => {
      const refusal = refusals.shift();
      if (refusal) throw refusal;
      const channel = createFakeChannel();
      dialled.push(channel);
      return channel;
    },
    claims: { owned: () => owned, epochOf: (shard) => owned.get(shard) },
    openNode: (node) => ({ close: () => log.push(`close ${node}`) }) as unknown as NodeEnd,
    openSession: ({ node }) =>
      ({
        attach: (_channel: Channel, { shardEpoch }: { shardEpoch: bigint }) => log.push(`attach ${node} ${shardEpoch}`),
        detach: () => log.push(`detach ${node}`),
        close: () => {},
        receive: ({ body }: Envelope) => log.push(`receive ${node} ${body.$case}`),
        dirty: (key: string) => log.push(`dirty ${node} ${key}`),
        compare: () => log.push(`compare ${node}`),
      }) as unknown as LaneSession,
    onHubCall: async (method, payload) => {
      if (method === 'fail') throw new SkerryError('not_found', 'no such token');
      return Buffer.concat([Buffer.from(`${method}:`), payload]);
    },
    clock,
    random: () => 0.5,
    logger: nullLogger(),
  });
  return { clock, link, owned, dialled, refusals, said: () => log.splice(0) };
}

const control = (node: string, body: Body): Envelope => ({ lane: Lane.LANE_CONTROL, node, body });
const attached = (node: string, generation = 1n): Envelope =>
  control(node, {
    $case: 'attached',
    value: {
      controller: Controller.CONTROLLER_KUBE,
      shardEpoch: 5n,
      edge: EdgeHello.fromPartial({ node, generation }),
    },
  });
const detached = (node: string): Envelope =>
  control(node, { $case: 'detached', value: { controller: Controller.CONTROLLER_KUBE } });
const frame = (node: string): Envelope => ({
  lane: Lane.LANE_KUBE_STATE,
  node,
  body: { $case: 'synced', value: { shardEpoch: 0n } },
});

function at(channels: readonly FakeChannel[], index: number): FakeChannel {
  const channel = channels[index];
  if (!channel) throw new Error(`channel ${index} was not dialled`);
  return channel;
}

async function stop(world: ReturnType<typeof setUp>): Promise<void> {
  await world.link.stop(new AbortController().signal);
  expect(world.clock.pending()).toBe(0);
}

describe('controller link', () => {
  test('serves a node from Attached to Detached', async () => {
    const world = setUp();
    await world.link.start();
    await world.clock.advance(0);
    const channel = at(world.dialled, 0);
    channel.give(attached('n1'));
    channel.give(frame('n1'));
    world.link.dirty('n1', 'pod/x');
    world.link.dirty('n2', 'pod/y');
    world.link.compareAll();
    channel.give(detached('n1'));
    channel.give(frame('n1'));
    expect(world.said()).toEqual([
      'attach n1 5',
      'receive n1 synced',
      'dirty n1 pod/x',
      'compare n1',
      'detach n1',
      'close n1',
    ]);
    expect(world.link.stats()).toMatchObject({ channels: 1, nodes: 0, attaches: 1, droppedFrames: 1 });
    await stop(world);
  });

  test('follows a node to another hub and ignores what the old one still says', async () => {
    const world = setUp(['hub-a:1', 'hub-b:1']);
    await world.link.start();
    await world.clock.advance(0);
    const [a, b] = [at(world.dialled, 0), at(world.dialled, 1)];
    a.give(attached('n1', 1n));
    b.give(attached('n1', 2n));
    a.give(frame('n1'));
    a.give(detached('n1'));
    b.give(frame('n1'));
    // An Attached of an older connection comes late.
    a.give(attached('n1', 1n));
    expect(world.said()).toEqual(['attach n1 5', 'detach n1', 'close n1', 'attach n1 5', 'receive n1 synced']);
    expect(world.link.stats()).toMatchObject({ nodes: 1, staleAttaches: 1 });
    await stop(world);
  });

  test('a lost channel ends its sessions and is dialled again', async () => {
    const world = setUp();
    await world.link.start();
    await world.clock.advance(0);
    at(world.dialled, 0).give(attached('n1'));
    at(world.dialled, 0).end({ kind: 'lost', reason: 'reset' });
    await world.clock.advance(5_000);
    expect(world.dialled).toHaveLength(2);
    at(world.dialled, 1).give(attached('n1'));
    expect(world.said()).toEqual(['attach n1 5', 'detach n1', 'close n1', 'attach n1 5']);
    await stop(world);
    expect(world.said()).toEqual(['detach n1', 'close n1']);
  });

  test('backs off while a hub cannot be reached', async () => {
    const world = setUp();
    for (let i = 0; i < 3; i++) world.refusals.push(new SkerryError('unavailable', 'nobody there'));
    await world.link.start();
    await world.clock.advance(0);
    expect(world.refusals).toHaveLength(2);
    await world.clock.advance(250);
    expect(world.refusals).toHaveLength(1);
    await world.clock.advance(499);
    expect(world.refusals).toHaveLength(1);
    await world.clock.advance(1);
    expect(world.refusals).toHaveLength(0);
    await world.clock.advance(1_000);
    expect(world.dialled).toHaveLength(1);
    await stop(world);
  });

  test('serves nobody of a shard that it does not hold, and lets go of one that it has lost', async () => {
    const world = setUp();
    await world.link.start();
    await world.clock.advance(0);
    const channel = at(world.dialled, 0);
    channel.give(attached('n1'));
    world.owned.delete(shardOf('n1'));
    world.link.claimsChanged();
    channel.give(attached('n1', 2n));
    expect(world.said()).toEqual(['attach n1 5', 'detach n1', 'close n1']);
    const claims = channel.sent.flatMap(({ body }) => (body.$case === 'claims' ? [body.value.shards.length] : []));
    expect(claims).toEqual([64, 63]);
    await stop(world);
  });

  test('answers calls of the hub itself', async () => {
    const world = setUp();
    await world.link.start();
    await world.clock.advance(0);
    const channel = at(world.dialled, 0);
    const call = (id: bigint, method: string): void =>
      channel.give({
        lane: Lane.LANE_KUBE_CALL,
        node: '',
        body: {
          $case: 'callRequest',
          value: { id, method, payload: Buffer.from('x'), timeoutMs: 1_000, streaming: false },
        },
      });
    call(1n, 'enroll');
    call(2n, 'fail');
    await world.clock.advance(0);
    const answers = channel.sent.flatMap(({ node, body }) =>
      body.$case === 'callEnd' ? [{ node, ...body.value, payload: Buffer.from(body.value.payload).toString() }] : [],
    );
    expect(answers).toEqual([
      { node: '', id: 1n, payload: 'enroll:x', code: 0, message: '' },
      { node: '', id: 2n, payload: '', code: 5, message: 'no such token' },
    ]);
    await stop(world);
  });
});
