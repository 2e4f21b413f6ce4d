import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fakeClock } from '../testing/fake-clock.js';
import { createWorkqueue } from './workqueue.js';

function queueOf(clock = fakeClock(), random = () => 0) {
  return { clock, queue: createWorkqueue({ clock, random, backoff: { baseMs: 100, maxMs: 1_000 } }) };
}

describe('workqueue', () => {
  test('a key waits once, whatever the number of adds', async () => {
    const { queue } = queueOf();
    for (let i = 0; i < 5; i++) queue.add('a');
    queue.add('b');
    expect(queue.metrics()).toMatchObject({ depth: 2, adds: 6 });
    expect(await queue.take()).toBe('a');
    expect(await queue.take()).toBe('b');
  });

  test('a key added while it is processed comes again, once, and only after done', async () => {
    const { queue } = queueOf();
    queue.add('a');
    await queue.take();
    queue.add('a');
    queue.add('a');
    let again: string | undefined;
    const second = queue.take().then((key) => {
      again = key;
    });
    await Promise.resolve();
    expect(again).toBeUndefined();
    queue.done('a');
    await second;
    expect(again).toBe('a');
    queue.done('a');
    expect(queue.metrics()).toMatchObject({ depth: 0, processing: 0 });
  });

  test('of several delays the earliest counts; an add at once drops the delay', async () => {
    const { clock, queue } = queueOf();
    queue.addAfter('a', 500);
    queue.addAfter('a', 100);
    queue.addAfter('a', 900);
    await clock.advance(99);
    expect(queue.metrics()).toMatchObject({ depth: 0, delayed: 1 });
    await clock.advance(1);
    expect(queue.metrics()).toMatchObject({ depth: 1, delayed: 0 });
    queue.addAfter('b', 100);
    queue.add('b');
    expect(clock.pending()).toBe(0);
  });

  test('the back-off of a key grows to its cap and starts anew after forget', async () => {
    const { clock, queue } = queueOf();
    const waits: number[] = [];
    for (let round = 0; round < 6; round++) {
      if (round === 5) queue.forget('a');
      queue.addRateLimited('a');
      const from = clock.monotonicMs();
      while (queue.metrics().depth === 0) await clock.advance(1);
      waits.push(clock.monotonicMs() - from);
      await queue.take();
      queue.done('a');
    }
    expect(waits).toEqual([100, 200, 400, 800, 1_000, 100]);
  });

  test('a server asked for more patience than the back-off has', async () => {
    const { clock, queue } = queueOf();
    queue.addRateLimited('a', 5_000);
    await clock.advance(4_999);
    expect(queue.metrics().depth).toBe(0);
    await clock.advance(1);
    expect(queue.metrics().depth).toBe(1);
  });

  test('shutting down lets takers go and leaves no timer', async () => {
    const { clock, queue } = queueOf();
    const waiting = queue.take();
    queue.addAfter('a', 100);
    queue.shutDown();
    expect(await waiting).toBeUndefined();
    expect(await queue.take()).toBeUndefined();
    queue.add('a');
    queue.addAfter('a', 1);
    expect(queue.metrics()).toMatchObject({ depth: 0, delayed: 0 });
    expect(clock.pending()).toBe(0);
  });

  test('no key is lost and none is processed twice at a time', async () => {
    const op = fc.record({
      op: fc.constantFrom('add', 'take', 'done', 'after', 'tick'),
      key: fc.constantFrom('a', 'b', 'c'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(op, { maxLength: 80 }), async (ops) => {
        const { clock, queue } = queueOf();
        const busy = new Set<string>();
        const owed = new Set<string>();
        const take = async (): Promise<void> => {
          const key = await queue.take();
          if (key === undefined) return;
          expect(busy.has(key)).toBe(false);
          busy.add(key);
          owed.delete(key);
        };
        for (const { op, key } of ops) {
          if (op === 'add') {
            owed.add(key);
            queue.add(key);
          } else if (op === 'after') {
            owed.add(key);
            queue.addAfter(key, 10);
          } else if (op === 'tick') await clock.advance(5);
          else if (op === 'take' && queue.metrics().depth > 0) await take();
          else if (op === 'done' && busy.delete(key)) queue.done(key);
        }
        for (const key of busy) queue.done(key);
        busy.clear();
        await clock.advance(100);
        while (queue.metrics().depth > 0) await take();
        expect([...owed]).toEqual([]);
        queue.shutDown();
      }),
    );
  });
});
