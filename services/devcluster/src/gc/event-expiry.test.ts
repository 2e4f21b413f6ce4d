import { expect, test } from '@jest/globals';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { EVENTS } from '../controllers/access.js';
import { memoryCluster } from '../controllers/testing/memory-cluster.js';
import { createEventExpiry } from './event-expiry.js';

test('events go some time after they were last seen, the oldest when there are too many', async () => {
  const clock = fakeClock();
  const cluster = memoryCluster();
  const event = (name: string, times: Record<string, string>) =>
    cluster.put(EVENTS, {
      metadata: { name, namespace: 'default', creationTimestamp: '2023-11-14T22:00:00Z' },
      ...times,
    });
  await event('created', {});
  await event('seen', { lastTimestamp: '2023-11-14T22:10:00Z' });
  await event('new-style', { eventTime: '2023-11-14T22:12:00.000000Z' });
  const expiry = createEventExpiry({ cluster, clock, logger: nullLogger(), ttlMs: 600_000, maxEvents: 2 });
  await expiry.start();
  await clock.advance(0);
  expect(cluster.names(EVENTS)).toEqual(['new-style', 'seen']);
  await clock.advance(420_000);
  expect(cluster.names(EVENTS)).toEqual(['new-style']);
  await event('a', { lastTimestamp: '2023-11-14T22:20:00Z' });
  await event('b', { lastTimestamp: '2023-11-14T22:20:01Z' });
  await clock.advance(60_000);
  expect(cluster.names(EVENTS)).toEqual(['a', 'b']);
  await expiry.stop(new AbortController().signal);
  expect(clock.pending()).toBe(0);
});
