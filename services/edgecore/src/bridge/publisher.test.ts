import { describe, expect, test } from '@jest/globals';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { createCounters } from './counters.js';
import { createOccasionalLog } from './occasional-log.js';
import { createPublisher } from './publisher.js';

function newPublisher() {
  const counters = createCounters();
  const sent: string[] = [];
  const dones: (() => void)[] = [];
  const publisher = createPublisher({
    send: ({ topic }, done) => {
      sent.push(topic);
      dones.push(done);
    },
    counters,
    log: createOccasionalLog(nullLogger(), fakeClock()),
  });
  const publish = (lane: string, ...topics: string[]): void =>
    publisher.publish(
      lane,
      topics.map((topic) => ({ topic, payload: '{}' })),
    );
  return { counters, sent, publish, finish: () => dones.shift()?.() };
}

describe('publisher', () => {
  test('one lane goes in order, one after the other; another lane does not wait', () => {
    const { sent, publish, finish, counters } = newPublisher();
    publish('a', 'a1', 'a2');
    publish('b', 'b1');
    publish('a', 'a3');
    expect(sent).toEqual(['a1', 'b1']);
    finish();
    expect(sent).toEqual(['a1', 'b1', 'a2']);
    for (let n = 0; n < 3; n++) finish();
    expect(sent).toEqual(['a1', 'b1', 'a2', 'a3']);
    publish('a', 'a4');
    expect(sent.at(-1)).toBe('a4');
    finish();
    expect(counters.published).toBe(5);
  });

  test('what waits is bounded; what exceeds it is dropped and counted', () => {
    const { publish, counters, finish } = newPublisher();
    publish('a', ...Array.from({ length: 20_000 }, (_, n) => `t${n}`));
    publish('b', 'b1');
    expect(counters.droppedAnswers).toBe(1);
    finish();
    publish('b', 'b2');
    expect(counters.droppedAnswers).toBe(1);
  });
});

test('an occasional line tells how many like it were left out', async () => {
  const lines: unknown[] = [];
  const clock = fakeClock();
  const log = createOccasionalLog(
    { ...nullLogger(), warn: (message, fields) => void lines.push([message, fields]) },
    clock,
  );
  for (let n = 0; n < 5; n++) log.warn('refused', { n });
  log.warn('other', {});
  await clock.advance(10_000);
  log.warn('refused', { n: 5 });
  expect(lines).toEqual([
    ['refused', { n: 0 }],
    ['other', {}],
    ['refused', { n: 5, leftOut: 4 }],
  ]);
});
