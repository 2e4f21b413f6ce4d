import { describe, expect, test } from '@jest/globals';
import type { Channel, Envelope } from '@skerry/common/link/types';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { Controller } from '@skerry/gen/skerry/link/v1/link';
import { type Callee, createHubCalls } from './hub-calls.js';

function open() {
  const clock = fakeClock();
  const calls = createHubCalls(clock);
  const sent: string[] = [];
  const channel = { send: ({ body }: Envelope) => sent.push(body.$case) } as unknown as Channel;
  const callee: Callee = { session: 1, kind: Controller.CONTROLLER_KUBE, channel };
  const call = () => calls.call(callee, 'enroll', Buffer.from('q'), 1_000);
  const end = (session: number, id: bigint, code: number, message = '') =>
    calls.receive(session, { $case: 'callEnd', value: { id, code, message, payload: Buffer.from('a') } });
  return { clock, calls, sent, call, end };
}

describe('calls of the hub', () => {
  test('end with the answer of the controller that was called', async () => {
    const { call, end, clock } = open();
    const [good, bad] = [call(), call()];
    end(2, 1n, 0);
    end(1, 2n, 6, 'it exists');
    end(1, 1n, 0);
    await expect(bad).rejects.toMatchObject({ code: 'already_exists', message: 'it exists' });
    expect(Buffer.from(await good).toString()).toBe('a');
    expect(clock.pending()).toBe(0);
  });

  test('end with their timeout, and the controller is told', async () => {
    const { call, end, clock, sent } = open();
    const late = expect(call()).rejects.toMatchObject({ code: 'deadline_exceeded' });
    await clock.advance(1_000);
    await late;
    expect(sent).toEqual(['callRequest', 'callCancel']);
    end(1, 1n, 0);
  });

  test('end with the controller’s session', async () => {
    const { call, calls, clock } = open();
    const lost = expect(call()).rejects.toMatchObject({ code: 'unavailable' });
    calls.ended(2);
    calls.ended(1);
    await lost;
    expect(clock.pending()).toBe(0);
  });

  test('are bounded', async () => {
    const { call, calls } = open();
    const all = Array.from({ length: 64 }, () => call().catch(() => 'ended'));
    await expect(call()).rejects.toMatchObject({ code: 'resource_exhausted' });
    calls.ended(1);
    await Promise.all(all);
  });
});
