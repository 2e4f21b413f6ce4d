import { describe, expect, test } from '@jest/globals';
import { createAdmission } from './admission.js';
import { createCallerLimiter, hostOf } from './caller-limiter.js';

describe('admission', () => {
  test('lets a burst in, then as many as the rate allows', () => {
    const admission = createAdmission(() => 0.5, 0);
    const ask = (nowMs: number): string => admission.ask(nowMs).kind;
    for (let i = 0; i < 200; i++) expect(ask(0)).toBe('admit');
    expect(ask(0)).toBe('later');
    expect(ask(5)).toBe('admit');
    expect(ask(5)).toBe('later');
  });

  test('tells a crowd to come back over the time that it takes to let it in', () => {
    let random = 0;
    const admission = createAdmission(() => random, 0);
    for (let i = 0; i < 200; i++) admission.ask(0);
    const delays: number[] = [];
    for (let i = 0; i < 2_000; i++) {
      random = (i % 10) / 10;
      const verdict = admission.ask(0);
      if (verdict.kind === 'later') delays.push(verdict.retryAfterMs);
    }
    expect(Math.min(...delays)).toBe(250);
    expect(Math.max(...delays)).toBeGreaterThan(10_000);
    expect(Math.max(...delays)).toBeLessThanOrEqual(45_000);
  });

  test('slows down while the process is busy, and recovers', () => {
    const admission = createAdmission(() => 0.5, 0);
    for (let i = 0; i < 100; i++) admission.observe(1);
    expect(admission.rate()).toBe(5);
    admission.observe(0.7);
    expect(admission.rate()).toBe(5);
    for (let i = 0; i < 100; i++) admission.observe(0.1);
    expect(admission.rate()).toBe(1_000);
  });
});

describe('limit by caller', () => {
  test('each has its own, and old ones are forgotten', () => {
    const limiter = createCallerLimiter({ burst: 2, perSecond: 1, maxCallers: 2 });
    expect([limiter.take('a', 0), limiter.take('a', 0), limiter.take('a', 0)]).toEqual([true, true, false]);
    expect(limiter.take('b', 0)).toBe(true);
    expect(limiter.take('a', 1_000)).toBe(true);
    expect(limiter.take('a', 1_500)).toBe(false);
    expect(limiter.take('c', 1_500)).toBe(true);
    expect([limiter.take('b', 1_500), limiter.take('b', 1_500)]).toEqual([true, true]);
  });

  test('goes by the host', () => {
    expect(hostOf('10.0.0.1:4711')).toBe('10.0.0.1');
    expect(hostOf('[::1]:4711')).toBe('[::1]');
  });
});
