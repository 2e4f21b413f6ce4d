import { describe, expect, test } from '@jest/globals';
import { type Component, createLifecycle } from './lifecycle.js';
import { nullLogger } from './logger.js';
import { fakeClock } from './testing/fake-clock.js';

function recorder(log: string[], name: string, over: Partial<Component> = {}): Component {
  return {
    name,
    start: async () => void log.push(`start ${name}`),
    stop: async () => void log.push(`stop ${name}`),
    ...over,
  };
}

function lifecycleOf(components: Component[], clock = fakeClock()) {
  return createLifecycle({ components, stopTimeoutMs: 1_000, clock, logger: nullLogger() });
}

describe('lifecycle', () => {
  test('starts in order and stops in the reverse order, once', async () => {
    const log: string[] = [];
    const app = lifecycleOf([recorder(log, 'a'), recorder(log, 'b')]);
    await app.start();
    await Promise.all([app.stop(), app.stop()]);
    expect(log).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });

  test('a failed start stops what was started and reports the cause', async () => {
    const log: string[] = [];
    const broken = recorder(log, 'b', {
      start: async () => {
        throw new Error('port taken');
      },
    });
    await expect(lifecycleOf([recorder(log, 'a'), broken, recorder(log, 'c')]).start()).rejects.toThrow('port taken');
    expect(log).toEqual(['start a', 'stop a']);
  });

  test('a component that hangs does not keep the others from stopping', async () => {
    const log: string[] = [];
    const clock = fakeClock();
    const app = lifecycleOf([recorder(log, 'a'), recorder(log, 'b', { stop: () => new Promise(() => {}) })], clock);
    await app.start();
    const stopped = app.stop().then(
      () => 'clean',
      (error: Error) => error.message,
    );
    await clock.advance(1_000);
    expect(await stopped).toContain('b: stop took too long');
    expect(log).toContain('stop a');
    expect(clock.pending()).toBe(0);
  });
});
