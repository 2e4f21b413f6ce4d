// Tolerations of Pods on autonomous nodes, lifted in the API.
import { describe, expect, test } from '@jest/globals';
import { createFakeKube, turns } from '@skerry/common/controller/testing/fake-kube';
import { PODS } from '@skerry/common/kube/resources';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { createLifter } from './lifter.js';

async function lifted(pod: object, autonomous = true) {
  const kube = createFakeKube();
  await kube.put(PODS, { metadata: { namespace: 'shop', name: 'web' }, ...pod });
  const lifter = createLifter({
    client: kube.client,
    isAutonomous: () => autonomous,
    clock: fakeClock(),
    random: () => 0.5,
    logger: nullLogger(),
  });
  await lifter.start();
  lifter.add('shop/web');
  lifter.add('shop/gone');
  await turns();
  await lifter.stop(new AbortController().signal);
  return {
    kube,
    metrics: lifter.metrics(),
    tolerations: kube.get(PODS, { namespace: 'shop', name: 'web' })?.spec?.tolerations,
  };
}

describe('lifter', () => {
  test('lifts the tolerations of a bound Pod', async () => {
    const { tolerations } = await lifted({ spec: { nodeName: 'edge-1', containers: [] } });
    expect(tolerations).toHaveLength(2);
  });

  test.each([
    ['is not bound', { spec: { containers: [] } }, true],
    ['is on a node that is not autonomous', { spec: { nodeName: 'edge-1', containers: [] } }, false],
    [
      'is being deleted',
      {
        metadata: { namespace: 'shop', name: 'web', deletionTimestamp: '2026-01-01T00:00:00Z' },
        spec: { nodeName: 'edge-1', containers: [] },
      },
      true,
    ],
  ])('leaves a Pod alone that %s', async (_name, pod, autonomous) => {
    const { kube, metrics } = await lifted(pod, autonomous);
    expect(kube.requests.every((request) => request.startsWith('get'))).toBe(true);
    expect(metrics).toMatchObject({ failed: 0, terminal: 0 });
  });
});
