import { expect, test } from '@jest/globals';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { createPassLoop } from './pass-loop.js';

test('a first pass, one more for all triggers during a pass, and one when the pass asks for it', async () => {
  const clock = fakeClock();
  let passes = 0;
  let finish: (againMs: number | undefined) => void = () => {};
  const pass = () => {
    passes += 1;
    return new Promise<number | undefined>((resolve) => {
      finish = resolve;
    });
  };
  const loop = createPassLoop({ clock, logger: nullLogger(), pass });
  loop.trigger();
  await clock.advance(0);
  expect(passes).toBe(0);
  loop.start();
  await clock.advance(0);
  expect(passes).toBe(1);
  loop.trigger();
  loop.trigger();
  finish(undefined);
  await clock.advance(0);
  expect(passes).toBe(2);
  finish(5_000);
  await clock.advance(4_999);
  expect(passes).toBe(2);
  await clock.advance(1);
  expect(passes).toBe(3);
  const stopped = loop.stop();
  loop.trigger();
  finish(5_000);
  await stopped;
  await clock.advance(10_000);
  expect(passes).toBe(3);
  expect(clock.pending()).toBe(0);
});

test('a pass that fails is tried again, later each time', async () => {
  const clock = fakeClock();
  const at: number[] = [];
  const loop = createPassLoop({
    clock,
    logger: nullLogger(),
    pass: () => {
      at.push(clock.monotonicMs());
      return at.length < 4 ? Promise.reject(new Error('no')) : Promise.resolve(undefined);
    },
  });
  loop.start();
  await clock.advance(60_000);
  expect(at).toEqual([0, 500, 1_500, 3_500]);
  await loop.stop();
});
