// Calls of a hub: bounded, each ended once.
import { describe, expect, test } from '@jest/globals';
import { Lane } from '@skerry/gen/skerry/link/v1/link';
import { fakeClock } from '../testing/fake-clock.js';
import { type HubCallHandler, serveHubCalls } from './hub-calls.js';
import { createFakeChannel } from './testing/fake-channel.js';

function setUp(handler: HubCallHandler | undefined) {
  const clock = fakeClock();
  const channel = createFakeChannel();
  const calls = serveHubCalls({ channel, handler, clock });
  const request = (id: number): void =>
    calls.receive({
      lane: Lane.LANE_KUBE_CALL,
      node: '',
      body: {
        $case: 'callRequest',
        value: { id: BigInt(id), method: 'renew', payload: Buffer.alloc(0), timeoutMs: 5_000, streaming: false },
      },
    });
  const codes = (): number[] => channel.sent.flatMap(({ body }) => (body.$case === 'callEnd' ? [body.value.code] : []));
  return { clock, calls, request, codes };
}

describe('hub calls', () => {
  test('refuses when there is no handler', () => {
    const { request, codes, clock } = setUp(undefined);
    request(1);
    expect(codes()).toEqual([12]);
    expect(clock.pending()).toBe(0);
  });

  test('ends a call that takes too long, and drops the late answer', async () => {
    let finish: (result: Uint8Array) => void = () => {};
    const { request, codes, clock } = setUp(() => new Promise((resolve) => (finish = resolve)));
    request(1);
    await clock.advance(5_000);
    finish(Buffer.from('late'));
    await clock.advance(0);
    expect(codes()).toEqual([4]);
  });

  test('bounds the calls under way', async () => {
    const { request, codes, calls, clock } = setUp(() => new Promise(() => {}));
    for (let id = 1; id <= 65; id++) request(id);
    expect(codes()).toEqual([8]);
    calls.close();
    expect(clock.pending()).toBe(0);
  });

  test('a cancelled call is not answered', async () => {
    let finish: (result: Uint8Array) => void = () => {};
    const { request, codes, calls, clock } = setUp(() => new Promise((resolve) => (finish = resolve)));
    request(1);
    calls.receive({ lane: Lane.LANE_KUBE_CALL, node: '', body: { $case: 'callCancel', value: { id: 1n } } });
    finish(Buffer.from('late'));
    await clock.advance(0);
    expect(codes()).toEqual([]);
    expect(clock.pending()).toBe(0);
  });
});
