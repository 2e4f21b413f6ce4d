import { describe, expect, test } from '@jest/globals';
import { nullLogger } from '../logger.js';
import { fakeClock } from '../testing/fake-clock.js';
import type { ListOptions, WatchOptions } from './client.js';
import { KubeError } from './kube-error.js';
import type { KubeObject } from './object.js';
import { createReflector, failureOf } from './reflector.js';
import type { Resource } from './resources.js';
import type { WatchEvent } from './watch-stream.js';

interface Thing extends KubeObject {
  readonly size?: number;
}
const THINGS: Resource<Thing> = { group: 'test', version: 'v1', kind: 'Thing', plural: 'things', namespaced: true };
const never = new AbortController().signal;

function thing(name: string, version: string, size = 1, uid = `uid-${name}`): Thing {
  return { metadata: { namespace: 'ns', name, uid, resourceVersion: version }, size };
}

/** A client that answers what the test says, when it says so. */
function scriptedClient() {
  interface Call {
    readonly options: ListOptions | WatchOptions;
    readonly answer: (value: unknown) => void;
    readonly fail: (error: unknown) => void;
  }
  const lists: Call[] = [];
  const watches: Call[] = [];
  const call = (calls: Call[], options: ListOptions | WatchOptions) =>
    new Promise((answer, fail) => {
      calls.push({ options, answer, fail });
      options.signal?.addEventListener('abort', () => fail(options.signal?.reason));
    });
  const client = {
    list: (_resource: unknown, options: ListOptions) => call(lists, options),
    watch: (_resource: unknown, options: WatchOptions) => call(watches, options),
  };

  function last(calls: Call[]): Call {
    const found = calls.at(-1);
    if (!found) throw new Error('no such call yet');
    return found;
  }

  /** Answers the latest watch with a stream that the test feeds. */
  function openWatch() {
    const queue: (WatchEvent<Thing> | Error | undefined)[] = [];
    let wake = (): void => {};
    const put = (item: WatchEvent<Thing> | Error | undefined): void => {
      queue.push(item);
      wake();
    };
    const { options, answer } = last(watches);
    options.signal?.addEventListener('abort', () => put(options.signal?.reason));
    async function* events() {
      for (;;) {
        if (queue.length === 0)
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        const item = queue.shift();
        if (item === undefined) return;
        if (item instanceof Error) throw item;
        yield item;
      }
    }
    answer(events());
    return put;
  }

  const page = (items: Thing[], version: string, token?: string): void =>
    last(lists).answer({ items, metadata: { resourceVersion: version, ...(token && { continue: token }) } });

  return { client: client as never, lists, watches, last, openWatch, page };
}

function setUp(project: (object: Thing) => number | undefined = (object) => object.size) {
  const clock = fakeClock();
  const script = scriptedClient();
  const log: string[] = [];
  const reflector = createReflector({
    client: script.client,
    resource: THINGS,
    project,
    handler: {
      upsert: (key, value, previous) =>
        void log.push(`+${key}=${value}${previous === undefined ? '' : `(${previous})`}`),
      remove: (key, uid, last) => void log.push(`-${key}=${last} ${uid}`),
      removedUnseen: (key) => void log.push(`?${key}`),
      synced: () => void log.push('synced'),
      desynced: () => void log.push('desynced'),
    },
    clock,
    random: () => 0,
    logger: nullLogger(),
  });
  const said = (): string[] => log.splice(0);
  return { clock, reflector, said, ...script };
}

describe('reflector', () => {
  test('lists in pages, says synced after the last, then follows the watch', async () => {
    const { clock, reflector, said, page, openWatch, lists, watches, last } = setUp();
    await reflector.start();
    page([thing('a', '1'), thing('b', '2')], '10', 'more');
    await clock.advance(0);
    expect(said()).toEqual(['+ns/a=1', '+ns/b=1']);
    expect(reflector.hasSynced()).toBe(false);
    expect(last(lists).options).toMatchObject({ continueToken: 'more', limit: 500 });
    page([thing('c', '3')], '10');
    await clock.advance(0);
    expect(said()).toEqual(['+ns/c=1', 'synced']);
    expect(last(watches).options).toMatchObject({ resourceVersion: '10', timeoutSeconds: 300 });

    const put = openWatch();
    put({ type: 'MODIFIED', object: thing('a', '11', 5) });
    put({ type: 'DELETED', object: thing('b', '12') });
    put({ type: 'ADDED', object: thing('d', '13') });
    put({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '20' } } });
    await clock.advance(0);
    expect(said()).toEqual(['+ns/a=5(1)', '-ns/b=1 uid-b', '+ns/d=1']);
    expect([...reflector.store.entries()]).toEqual([
      ['ns/a', 5],
      ['ns/c', 1],
      ['ns/d', 1],
    ]);
    put(undefined);
    await clock.advance(0);
    expect(last(watches).options).toMatchObject({ resourceVersion: '20' });
    await reflector.stop(never);
    expect(clock.pending()).toBe(0);
  });

  test('after a 410 only what the complete list lacks is removed, and what it repeats is not told again', async () => {
    const { clock, reflector, said, page, openWatch, last, lists, watches } = setUp();
    await reflector.start();
    page([thing('a', '1'), thing('b', '2'), thing('c', '3')], '10');
    await clock.advance(0);
    said();
    const put = openWatch();
    put({ type: 'ERROR', object: { code: 410, reason: 'Expired', message: 'too old' } });
    await clock.advance(0);
    expect(said()).toEqual(['desynced']);
    page([thing('b', '2')], '30', 'more');
    await clock.advance(0);
    last(lists).fail(new KubeError('failed_precondition', 'expired', { httpStatus: 410 }));
    await clock.advance(600);
    expect(said()).toEqual([]);
    expect(reflector.store.size).toBe(3);
    page([thing('b', '31', 7)], '40', 'more');
    await clock.advance(0);
    page([thing('c', '3')], '40');
    await clock.advance(0);
    expect(said()).toEqual(['+ns/b=7(1)', '-ns/a=1 uid-a', 'synced']);
    expect(last(watches).options).toMatchObject({ resourceVersion: '40' });
    expect(reflector.metrics()).toMatchObject({ lists: 2, relists: 1, objects: 2 });
    await reflector.stop(never);
  });

  test('another UID under a known name is a removal and an arrival', async () => {
    const { clock, reflector, said, page, openWatch } = setUp();
    await reflector.start();
    page([thing('a', '1')], '10');
    await clock.advance(0);
    said();
    openWatch()({ type: 'MODIFIED', object: thing('a', '11', 2, 'uid-new') });
    await clock.advance(0);
    expect(said()).toEqual(['-ns/a=1 uid-a', '+ns/a=2']);
    expect(reflector.store.uid('ns/a')).toBe('uid-new');
    await reflector.stop(never);
  });

  test('what project() does not want never enters; what it no longer wants leaves', async () => {
    let limit = 10;
    const { clock, reflector, said, page, openWatch } = setUp(({ size = 0 }) => (size < limit ? size : undefined));
    await reflector.start();
    page([thing('a', '1', 5), thing('b', '2', 50)], '10');
    await clock.advance(0);
    expect(said()).toEqual(['+ns/a=5', 'synced']);
    const put = openWatch();
    put({ type: 'MODIFIED', object: thing('a', '11', 60) });
    put({ type: 'DELETED', object: thing('b', '12', 50) });
    await clock.advance(0);
    expect(said()).toEqual(['-ns/a=5 uid-a', '?ns/b']);
    limit = 100;
    reflector.relist();
    await clock.advance(0);
    page([thing('a', '11', 60), thing('b', '2', 50)], '12');
    await clock.advance(0);
    expect(said()).toEqual(['+ns/a=60', '+ns/b=50', 'synced']);
    await reflector.stop(never);
  });

  test('an object that cannot be projected keeps its last projection, also across a relist', async () => {
    const { clock, reflector, said, page, openWatch } = setUp(({ size = 0 }) => {
      if (size < 0) throw new Error('malformed');
      return size;
    });
    await reflector.start();
    page([thing('a', '1', 5)], '10');
    await clock.advance(0);
    openWatch()({ type: 'MODIFIED', object: thing('a', '11', -1) });
    await clock.advance(0);
    reflector.relist();
    await clock.advance(0);
    page([thing('a', '11', -1)], '12');
    await clock.advance(0);
    expect(said()).toEqual(['+ns/a=5', 'synced', 'synced']);
    expect(reflector.metrics().handlerErrors).toBe(2);
    await reflector.stop(never);
  });

  test('a silent watch is cut: at once past its promised end, earlier when bookmarks stop', async () => {
    const { clock, reflector, page, openWatch, watches } = setUp();
    await reflector.start();
    page([], '10');
    await clock.advance(0);
    openWatch();
    await clock.advance(329_999);
    expect(watches).toHaveLength(1);
    await clock.advance(1_000);
    expect(watches).toHaveLength(2);

    const put = openWatch();
    put({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '15' } } });
    await clock.advance(179_999);
    expect(watches).toHaveLength(2);
    await clock.advance(1_000);
    expect(watches).toHaveLength(3);
    expect(watches[2]?.options).toMatchObject({ resourceVersion: '15' });
    await reflector.stop(never);
    expect(clock.pending()).toBe(0);
  });

  test('keeps trying while the server is away, at the pace it asks for', async () => {
    const { clock, reflector, page, lists, last } = setUp();
    await reflector.start();
    last(lists).fail(new KubeError('unavailable', 'refused', { httpStatus: 0 }));
    await clock.advance(500);
    expect(lists).toHaveLength(2);
    last(lists).fail(new KubeError('resource_exhausted', 'busy', { httpStatus: 429, retryAfterMs: 9_000 }));
    await clock.advance(9_999);
    expect(lists).toHaveLength(2);
    await clock.advance(1);
    expect(lists).toHaveLength(3);
    const synced = reflector.waitForSync();
    page([thing('a', '1')], '5');
    await synced;
    await reflector.stop(never);
  });

  test('a list or an event without a version is not trusted', async () => {
    const { clock, reflector, said, page, openWatch, lists } = setUp();
    await reflector.start();
    page([], '');
    await clock.advance(500);
    expect(lists).toHaveLength(2);
    page([], '5');
    await clock.advance(0);
    openWatch()({ type: 'ADDED', object: thing('a', '') });
    await clock.advance(0);
    expect(said()).toEqual(['synced', 'desynced']);
    expect(lists).toHaveLength(3);
    await reflector.stop(never);
  });

  test('waiting for the sync ends by the signal or by the stop', async () => {
    const { reflector } = setUp();
    await reflector.start();
    const patience = new AbortController();
    const impatient = reflector.waitForSync(patience.signal);
    const patient = reflector.waitForSync();
    patience.abort(new Error('enough'));
    await expect(impatient).rejects.toThrow('enough');
    const stopping = reflector.stop(never);
    await expect(patient).rejects.toMatchObject({ code: 'cancelled' });
    await expect(reflector.waitForSync()).rejects.toMatchObject({ code: 'cancelled' });
    await stopping;
  });

  test('a handler may ask for a relist in the middle of a page', async () => {
    const clock = fakeClock();
    const script = scriptedClient();
    const seen: string[] = [];
    const reflector = createReflector<Thing, number>({
      client: script.client,
      resource: THINGS,
      project: () => 1,
      handler: {
        upsert: (key) => {
          seen.push(key);
          if (seen.length === 1) reflector.relist();
        },
        remove: (key) => void seen.push(`-${key}`),
        synced: () => void seen.push('synced'),
      },
      clock,
      random: () => 0,
      logger: nullLogger(),
    });
    await reflector.start();
    script.page([thing('a', '1'), thing('b', '2')], '5');
    await clock.advance(0);
    script.page([thing('c', '6')], '7');
    await clock.advance(0);
    expect(seen).toEqual(['ns/a', 'ns/c', '-ns/a', 'synced']);
    await reflector.stop(never);
  });
});

test.each([
  [410, 'gone'],
  [400, 'broken'],
  [404, 'broken'],
  [401, 'transient'],
  [403, 'transient'],
  [429, 'transient'],
  [500, 'transient'],
  [504, 'transient'],
  [0, 'transient'],
])('an HTTP %i is %s for the protocol', (httpStatus, kind) => {
  expect(failureOf(new KubeError('internal', '', { httpStatus })).kind).toBe(kind);
});
