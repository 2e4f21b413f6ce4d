import { describe, expect, test } from '@jest/globals';
import { SkerryError } from '../errors.js';
import { nullLogger } from '../logger.js';
import { fakeClock } from '../testing/fake-clock.js';
import { KubeError } from './kube-error.js';
import { createReconciler, type Reconcile, TerminalError } from './reconciler.js';

function reconcilerOf(reconcile: Reconcile, workers = 2) {
  const clock = fakeClock();
  const reconciler = createReconciler({
    name: 'test',
    workers,
    reconcile,
    clock,
    random: () => 0,
    logger: nullLogger(),
    backoff: { baseMs: 100, maxMs: 1_000 },
  });
  return { clock, reconciler };
}

const never = new AbortController().signal;

describe('reconciler', () => {
  test('tries a failed key again by its back-off until it goes well', async () => {
    let calls = 0;
    const { clock, reconciler } = reconcilerOf(async () => {
      calls += 1;
      if (calls < 3) throw new SkerryError('unavailable', 'not yet');
      return undefined;
    });
    await reconciler.start();
    reconciler.add('a');
    await clock.advance(0);
    expect(calls).toBe(1);
    await clock.advance(100);
    expect(calls).toBe(2);
    await clock.advance(200);
    expect(reconciler.metrics()).toMatchObject({ succeeded: 1, failed: 2, delayed: 0 });
    await reconciler.stop(never);
  });

  test('leaves a terminal failure alone until the key is added again', async () => {
    let calls = 0;
    const { clock, reconciler } = reconcilerOf(async () => {
      calls += 1;
      throw new TerminalError('the spec is wrong');
    });
    await reconciler.start();
    reconciler.add('a');
    await clock.advance(60_000);
    expect(calls).toBe(1);
    reconciler.add('a');
    await clock.advance(0);
    expect(reconciler.metrics()).toMatchObject({ terminal: 2, failed: 0 });
    await reconciler.stop(never);
  });

  test('comes back when the reconcile asked for it, or when the server did', async () => {
    const calls: string[] = [];
    const { clock, reconciler } = reconcilerOf(async (key) => {
      calls.push(key);
      if (key === 'busy' && calls.length < 3)
        throw new KubeError('resource_exhausted', '429', { httpStatus: 429, retryAfterMs: 3_000 });
      return key === 'later' && calls.length < 3 ? { requeueAfterMs: 500 } : undefined;
    });
    await reconciler.start();
    reconciler.add('later');
    reconciler.add('busy');
    await clock.advance(500);
    expect(calls).toEqual(['later', 'busy', 'later']);
    await clock.advance(2_499);
    expect(calls).toHaveLength(3);
    await clock.advance(1);
    expect(calls).toEqual(['later', 'busy', 'later', 'busy']);
    await reconciler.stop(never);
  });

  test('stopping waits for what is under way, and tells it when patience ends', async () => {
    let sawAbort = false;
    const { clock, reconciler } = reconcilerOf(
      (_key, signal) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            sawAbort = true;
            resolve(undefined);
          }),
        ),
    );
    await reconciler.start();
    reconciler.add('a');
    reconciler.add('b');
    await clock.advance(0);
    const deadline = new AbortController();
    let stopped = false;
    const stopping = reconciler.stop(deadline.signal).then(() => {
      stopped = true;
    });
    await clock.advance(0);
    expect(stopped).toBe(false);
    deadline.abort();
    await stopping;
    expect(sawAbort).toBe(true);
    expect(reconciler.metrics().processing).toBe(0);
  });
});
