// The reflector against a real HTTPS server that misbehaves in every way known from real ones: the store always ends up equal.
import { expect, test } from '@jest/globals';
import { type Clock, systemClock } from '../clock.js';
import { nullLogger } from '../logger.js';
import { connectKube } from './client.js';
import { type KubeObject, keyOf } from './object.js';
import { createReflector, type Reflector } from './reflector.js';
import { CONFIG_MAPS } from './resources.js';
import { type KubeServer, startKubeServer } from './testing/kube-server.js';
import { MAX_WATCH_LINE_BYTES } from './watch-stream.js';

/** Watch timeouts: with the guard's 30 s, less than a second of real time. */
const SOON = { min: 10_000, max: 20_000 };

/** Real time, a hundred times as fast: waits of the back-off and of the watches' ends do not slow the tests down. */
function fastClock(): Clock {
  const clock = systemClock();
  return {
    ...clock,
    monotonicMs: () => clock.monotonicMs() * 100,
    after: (delayMs, fn) => clock.after(delayMs / 100, fn),
    sleep: (delayMs, signal) => clock.sleep(delayMs / 100, signal),
  };
}

interface Harness {
  readonly server: KubeServer;
  readonly reflector: Reflector<string>;
  /** Resolves when the store has these entries, as `name=value`. */
  shows(...entries: string[]): Promise<void>;
  /** Resolves when a watch is open. */
  watching(): Promise<void>;
}

async function withReflector(
  fn: (harness: Harness) => Promise<void>,
  watchTimeoutMs = { min: 300_000, max: 600_000 },
): Promise<void> {
  const server = await startKubeServer();
  const { client, transport } = connectKube({
    connection: server.connection,
    clock: systemClock(),
    random: Math.random,
  });
  const reflector = createReflector({
    client,
    resource: CONFIG_MAPS,
    project: (object) => object.data?.['v'],
    handler: { upsert: () => {}, remove: () => {}, synced: () => {} },
    clock: fastClock(),
    random: Math.random,
    logger: nullLogger(),
    pageSize: 2,
    watchTimeoutMs,
  });
  const until = async (done: () => boolean): Promise<void> => {
    for (let tries = 0; tries < 1_000 && !done(); tries++) await systemClock().sleep(5);
    expect(done()).toBe(true);
  };
  try {
    await fn({
      server,
      reflector,
      shows: (...entries) => until(() => contents(reflector) === entries.join(' ')),
      watching: () => until(() => server.openWatches() > 0),
    });
  } finally {
    await reflector.stop(AbortSignal.timeout(1_000));
    await transport.close();
    await server.close();
  }
}

function contents(reflector: Reflector<string>): string {
  return [...reflector.store.entries()]
    .map(([key, value]) => `${key.slice(3)}=${value}`)
    .sort()
    .join(' ');
}

function config(name: string, v: string): KubeObject {
  return { metadata: { namespace: 'ns', name, uid: `uid-${name}` }, data: { v } } as KubeObject;
}

test('pages, follows, and survives ends, resets and cut lines without a new list', () =>
  withReflector(async ({ server, reflector, shows, watching }) => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) server.put(config(name, '1'));
    await reflector.start();
    await shows('a=1', 'b=1', 'c=1', 'd=1', 'e=1');
    await watching();
    let step = 1;
    for (const how of ['end', 'reset', 'truncate'] as const) {
      step += 1;
      server.cutWatches(how);
      server.put(config('a', String(step)));
      await shows(`a=${step}`, 'b=1', 'c=1', 'd=1', 'e=1');
      await watching();
    }
    server.remove('ns/b');
    await shows('a=4', 'c=1', 'd=1', 'e=1');
    expect(reflector.metrics()).toMatchObject({ lists: 1, relists: 0, objects: 4 });
    expect(server.requests.filter((line) => line.includes('limit=2'))).toHaveLength(3);
  }));

test('a lost past is listed anew: what vanished meanwhile is removed', () =>
  withReflector(async ({ server, reflector, shows, watching }) => {
    for (const name of ['a', 'b', 'c']) server.put(config(name, '1'));
    await reflector.start();
    await shows('a=1', 'b=1', 'c=1');
    await watching();
    server.inject('watch', { kind: 'status', code: 503 });
    server.cutWatches('reset');
    server.remove('ns/b');
    server.put(config('d', '1'));
    server.compact();
    await shows('a=1', 'c=1', 'd=1');
    expect(reflector.metrics().relists).toBeGreaterThan(0);
  }));

test('an ERROR event, garbage and an endless line lead to a new list', () =>
  withReflector(async ({ server, reflector, shows, watching }) => {
    server.put(config('a', '1'));
    await reflector.start();
    await shows('a=1');
    const gone = '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n';
    let step = 1;
    for (const line of [gone, 'no json at all\n', 'x'.repeat(MAX_WATCH_LINE_BYTES + 1)]) {
      await watching();
      const before = reflector.metrics().lists;
      server.sendWatches(line);
      step += 1;
      server.put(config('a', String(step)));
      await shows(`a=${step}`);
      for (let tries = 0; tries < 1_000 && reflector.metrics().lists === before; tries++) await systemClock().sleep(5);
      expect(reflector.metrics().lists).toBe(before + 1);
    }
  }));

test('a bad start is only a late one', () =>
  withReflector(async ({ server, reflector, shows }) => {
    server.put(config('a', '1'));
    server.put(config('b', '1'));
    server.put(config('c', '1'));
    server.inject(
      'list',
      { kind: 'reset' },
      { kind: 'status', code: 500 },
      { kind: 'status', code: 429, retryAfterSeconds: 1 },
      { kind: 'body', text: '<html>' },
      { kind: 'status', code: 403, reason: 'Forbidden' },
    );
    server.inject('watch', { kind: 'status', code: 500 }, { kind: 'reset' }, { kind: 'body', text: '' });
    await reflector.start();
    await reflector.waitForSync(AbortSignal.timeout(10_000));
    server.put(config('a', '2'));
    await shows('a=2', 'b=1', 'c=1');
    expect(reflector.metrics().listFailures).toBe(5);
    expect(keyOf(config('a', ''))).toBe('ns/a');
  }));

test('a watch that never says anything is cut and opened again', () =>
  withReflector(async ({ server, reflector, shows }) => {
    server.put(config('a', '1'));
    server.inject('watch', { kind: 'stall' });
    await reflector.start();
    await shows('a=1');
    server.put(config('a', '2'));
    await shows('a=2');
  }, SOON));
