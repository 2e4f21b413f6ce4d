import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../testing/fake-clock.js';
import { createLimiter } from './limiter.js';

const free = new AbortController().signal;

describe('limiter', () => {
  test('admits so many at once, then in order', async () => {
    const limiter = createLimiter({ maxInFlight: 2, maxQueued: 10, clock: fakeClock() });
    const order: number[] = [];
    const calls = [1, 2, 3, 4].map((n) => limiter.acquire(free).then(() => order.push(n)));
    await Promise.all(calls.slice(0, 2));
    expect(limiter.stats()).toEqual({ inFlight: 2, queued: 2, refused: 0 });
    limiter.release();
    await calls[2];
    limiter.release();
    await calls[3];
    expect(order).toEqual([1, 2, 3, 4]);
  });

  test('a full line refuses; one who gives up leaves it', async () => {
    const limiter = createLimiter({ maxInFlight: 1, maxQueued: 1, clock: fakeClock() });
    await limiter.acquire(free);
    const patience = new AbortController();
    const waiting = limiter.acquire(patience.signal);
    await expect(limiter.acquire(free)).rejects.toMatchObject({ code: 'resource_exhausted' });
    patience.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(limiter.stats()).toEqual({ inFlight: 1, queued: 0, refused: 1 });
    limiter.release();
    await limiter.acquire(free);
  });

  test('a rate holds after its burst', async () => {
    const clock = fakeClock();
    const limiter = createLimiter({ maxInFlight: 100, maxQueued: 100, rate: { perSecond: 10, burst: 3 }, clock });
    let admitted = 0;
    for (let i = 0; i < 8; i++) void limiter.acquire(free).then(() => (admitted += 1));
    await clock.advance(0);
    expect(admitted).toBe(3);
    await clock.advance(200);
    expect(admitted).toBe(5);
    await clock.advance(300);
    expect(admitted).toBe(8);
    expect(clock.pending()).toBe(0);
  });
});
