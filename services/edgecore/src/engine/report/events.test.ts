import { describe, expect, test } from '@jest/globals';
import { SkerryError } from '@skerry/common/errors';
import { type LogFields, type Logger, nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { createEventRecorder, type PodEvent } from './events.js';

const POD = { uid: 'u1', namespace: 'default', name: 'web' };
const BACK_OFF: PodEvent = {
  pod: POD,
  type: 'Warning',
  reason: 'BackOff',
  message: 'm',
  container: { name: 'app', kind: 'main' },
};

function open() {
  const clock = fakeClock();
  const taken: { reason: string; message: string; count: number }[] = [];
  const edgecore = { away: false };
  const append = async (payloads: readonly Buffer[]): Promise<void> => {
    if (edgecore.away) throw new SkerryError('unavailable', 'away');
    taken.push(...payloads.map((payload) => JSON.parse(payload.toString())));
  };
  const warnings: LogFields[] = [];
  const logger: Logger = { ...nullLogger(), warn: (_message, fields = {}) => void warnings.push(fields) };
  return { clock, taken, edgecore, warnings, recorder: createEventRecorder({ append, clock, logger }) };
}

describe('event recorder', () => {
  test('an Event as the cloud expects it', async () => {
    const { clock, taken, recorder } = open();
    recorder.record(BACK_OFF);
    await clock.advance(0);
    expect(taken).toEqual([
      {
        involvedObject: {
          apiVersion: 'v1',
          kind: 'Pod',
          namespace: 'default',
          name: 'web',
          uid: 'u1',
          fieldPath: 'spec.containers{app}',
        },
        type: 'Warning',
        reason: 'BackOff',
        message: 'm',
        timestamp: new Date(clock.nowMs()).toISOString(),
        count: 1,
        component: 'skerry-engine',
      },
    ]);
  });

  test('repetitions are counted, and told at most every half minute', async () => {
    const { clock, taken, recorder } = open();
    for (let i = 0; i < 10; i++) {
      recorder.record(BACK_OFF);
      await clock.advance(10_000);
    }
    expect(taken.map(({ count }) => count)).toEqual([1, 4, 7, 10]);
    await clock.advance(600_000);
    recorder.record(BACK_OFF);
    await clock.advance(0);
    expect(taken.at(-1)?.count).toBe(1);
  });

  test('what edgecore does not take is kept in order and sent later', async () => {
    const { clock, taken, edgecore, recorder } = open();
    edgecore.away = true;
    for (const message of ['a', 'b', 'c']) recorder.record({ ...BACK_OFF, message });
    await clock.advance(5_000);
    expect(taken).toEqual([]);
    edgecore.away = false;
    await clock.advance(1_000);
    expect(taken.map(({ message }) => message)).toEqual(['a', 'b', 'c']);
    expect(clock.pending()).toBe(0);
  });

  test('the queue is bounded: the oldest go, counted', async () => {
    const { clock, taken, edgecore, recorder } = open();
    edgecore.away = true;
    for (let i = 0; i < 1_100; i++) recorder.record({ ...BACK_OFF, message: String(i) });
    expect(recorder.dropped()).toBe(100);
    edgecore.away = false;
    await clock.advance(10_000);
    expect(taken.at(0)?.message).toBe('100');
    expect(taken).toHaveLength(1_000);
  });

  test('what is lost is told at once, then once a minute while it goes on', async () => {
    const { clock, edgecore, recorder, warnings } = open();
    edgecore.away = true;
    for (let i = 0; i < 1_003; i++) recorder.record({ ...BACK_OFF, message: String(i) });
    expect(warnings).toEqual([{ events: 1, dropped: 1 }]);
    await clock.advance(60_000);
    expect(warnings.slice(1)).toEqual([{ events: 2, dropped: 3 }]);
    await clock.advance(60_000);
    recorder.record(BACK_OFF);
    expect(warnings.slice(2)).toEqual([{ events: 1, dropped: 4 }]);
    const stopped = recorder.stop(AbortSignal.abort());
    await clock.advance(0);
    await stopped;
    expect(warnings).toHaveLength(3);
    expect(clock.pending()).toBe(0);
  });

  test('stop does not wait for an edgecore that is away', async () => {
    const { clock, edgecore, recorder } = open();
    edgecore.away = true;
    recorder.record(BACK_OFF);
    const stopped = recorder.stop(new AbortController().signal);
    await clock.advance(0);
    await stopped;
    expect(clock.pending()).toBe(0);
  });
});
