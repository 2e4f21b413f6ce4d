import { describe, expect, test } from '@jest/globals';
import { createFakeKube, turns } from '@skerry/common/controller/testing/fake-kube';
import { NODES, type Node } from '@skerry/common/kube/resources';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { createNodes } from './nodes.js';

const cloud: Node = { metadata: { name: 'n' } };
const edge: Node = { metadata: { name: 'n', labels: { 'node-role.kubernetes.io/edge': '' } } };

async function setUp(first: Node) {
  const kube = createFakeKube();
  await kube.put(NODES, first);
  let changes = 0;
  const nodes = createNodes({
    client: kube.client,
    onRolesChanged: () => {
      changes += 1;
    },
    onChanged: () => {},
    clock: fakeClock(),
    random: () => 0.5,
    logger: nullLogger(),
  });
  await nodes.start();
  await turns();
  const before = changes;
  return { kube, nodes, changes: () => changes - before, stop: () => nodes.stop(new AbortController().signal) };
}

describe('nodes', () => {
  test.each([
    ['a label makes a cloud node an edge', cloud, edge, false],
    ['an edge loses its label', edge, cloud, false],
    ['the name of a cloud node comes back as an edge', cloud, edge, true],
  ])('Pods are looked at anew when %s', async (_name, first, second, anew) => {
    const { kube, nodes, changes, stop } = await setUp(first);
    if (anew) await kube.remove(NODES, { name: 'n' });
    await kube.put(NODES, second);
    await turns();
    expect(changes()).toBe(1);
    expect(nodes.mayBeEdge('n')).toBe(second === edge);
    await stop();
  });

  test('an edge that goes and comes back, and a cloud node too, change nothing', async () => {
    for (const node of [edge, cloud]) {
      const { kube, changes, stop } = await setUp(node);
      await kube.remove(NODES, { name: 'n' });
      await kube.put(NODES, node);
      await turns();
      expect(changes()).toBe(0);
      await stop();
    }
  });
});
