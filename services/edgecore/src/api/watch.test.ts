// A watcher that does not keep up: what waits for it is keys, and it gets the newest value of each.
import { EventEmitter } from 'node:events';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import type { WatchResponse } from '@skerry/gen/skerry/edge/v1/edge';
import { openMetaStore } from '../meta/meta-store.js';
import { entryOf } from '../meta/testing/contract.js';
import { createMemoryBackend } from '../meta/testing/memory-backend.js';
import type { MetaStore } from '../meta/types.js';
import { createWatchService, type WatchService } from './watch.js';

let meta: MetaStore;
let service: WatchService;
const synced = new Set<string>();

beforeEach(async () => {
  meta = await openMetaStore({ backend: createMemoryBackend(), logger: nullLogger(), clock: fakeClock() });
  synced.clear();
  service = createWatchService({ meta, isSynced: (controller) => synced.has(controller) });
});

const put = (key: string, version: string) =>
  meta.commit([{ kind: 'put', space: 'desired', key, entry: entryOf('x', { version }) }]);
const remove = (key: string) => meta.commit([{ kind: 'delete', space: 'desired', key }]);

/** A stream that takes `room` messages before it wants a pause. */
function watch(prefixes: string[], room = Number.POSITIVE_INFINITY) {
  const seen: string[] = [];
  let left = room;
  const call = Object.assign(new EventEmitter(), {
    request: { prefixes },
    end: () => {},
    write({ event }: WatchResponse): boolean {
      if (event?.$case === 'put') seen.push(`${event.value.key}=${event.value.version}`);
      if (event?.$case === 'deleted') seen.push(`-${event.value.key}`);
      if (event?.$case === 'listed') seen.push(`listed ${event.value.synced}`);
      left -= 1;
      return left > 0;
    },
  });
  (service.implementation.watch as unknown as (call: EventEmitter) => void)(call);
  const drain = (more: number): void => {
    left = more;
    call.emit('drain');
  };
  return { seen, drain, close: () => call.emit('close') };
}

describe('watch', () => {
  test('gives what is there, then listed, then changes under its prefixes', async () => {
    await put('pod/a/b/u', '1');
    await put('device/a/d', '1');
    const { seen } = watch(['pod/', 'secret/']);
    await put('secret/a/s', '1');
    await put('configmap/a/c', '1');
    await remove('pod/a/b/u');
    expect(seen).toEqual(['pod/a/b/u=1', 'listed false', 'secret/a/s=1', '-pod/a/b/u']);
  });

  test('a slow one gets the newest value of each key once', async () => {
    const { seen, drain } = watch(['pod/'], 1);
    for (let n = 1; n <= 1_000; n++) await put(`pod/a/p${n % 3}/u`, `${n}`);
    await remove('pod/a/p2/u');
    expect(seen).toEqual(['listed false']);
    drain(2);
    await put('pod/a/p0/u', '1001');
    drain(10);
    expect(seen).toEqual(['listed false', 'pod/a/p1/u=1000', '-pod/a/p2/u', 'pod/a/p0/u=1001']);
  });

  test('listed comes again, behind everything that came before it, when the set is full', async () => {
    const { seen, drain } = watch(['pod/'], 1);
    await put('pod/a/b/u', '1');
    synced.add('kube');
    service.syncedChanged();
    await put('pod/a/c/u', '1');
    drain(10);
    expect(seen).toEqual(['listed false', 'pod/a/b/u=1', 'listed true', 'pod/a/c/u=1']);
  });

  test('is synced only when every controller of its prefixes is', () => {
    synced.add('kube');
    expect(watch(['pod/']).seen).toEqual(['listed true']);
    expect(watch(['device/']).seen).toEqual(['listed false']);
    expect(watch(['']).seen).toEqual(['listed false']);
    expect(watch(['pod/ns/']).seen).toEqual(['listed true']);
  });

  test('one that closed is forgotten', async () => {
    const { seen, close } = watch(['pod/']);
    close();
    await put('pod/a/b/u', '1');
    expect(seen).toEqual(['listed false']);
    expect(service.watchers()).toBe(0);
  });
});
