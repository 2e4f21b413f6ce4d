// The bounds of what the broker remembers, on a real database.
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { Aedes, type PublishPacket } from 'aedes';
import type { StoredPacket } from 'aedes-persistence-level/asyncPersistence.js';
import { ClassicLevel } from 'classic-level';
import { type Counters, createCounters } from './counters.js';
import { BoundedSessions, nextGeneration, type SessionBounds } from './sessions.js';

const BOUNDS: SessionBounds = { sessions: 2, messagesPerSession: 3, bytes: 1_000, retained: 2, retainedBytes: 100 };

interface Opened {
  readonly sessions: BoundedSessions;
  readonly counters: Counters;
  readonly online: Set<string>;
}

async function withSessions(dir: string, fn: (opened: Opened) => Promise<void>): Promise<void> {
  const db = new ClassicLevel<string, Buffer>(join(dir, 'sessions'), { valueEncoding: 'buffer' });
  await db.open();
  const counters = createCounters();
  const online = new Set<string>();
  let nowMs = 0;
  const sessions = new BoundedSessions({
    db,
    bounds: BOUNDS,
    counters,
    nowMs: () => ++nowMs,
    isConnected: (id) => online.has(id),
  });
  const broker = new Aedes({ id: `g${await nextGeneration(db)}`, persistence: sessions });
  await broker.listen();
  try {
    await fn({ sessions, counters, online });
  } finally {
    await new Promise<void>((resolve) => broker.close(() => resolve()));
    await db.close();
  }
}

let counter = 0;
const message = (topic: string, payload = 'x'): PublishPacket & { brokerId: string; brokerCounter: number } => ({
  cmd: 'publish',
  topic,
  payload: Buffer.from(payload),
  qos: 1,
  retain: false,
  dup: false,
  brokerId: 'g1',
  brokerCounter: ++counter,
});

async function subscribe({ sessions }: Opened, id: string, topic: string): Promise<void> {
  await sessions.admit(id);
  await sessions.addSubscriptions({ id }, [{ topic, qos: 1 }]);
}

async function enqueue({ sessions }: Opened, packet: PublishPacket): Promise<void> {
  await sessions.outgoingEnqueueCombi(await sessions.subscriptionsByTopic(packet.topic), packet);
}

async function waiting({ sessions }: Opened, id: string): Promise<string[]> {
  const payloads: string[] = [];
  for await (const packet of sessions.outgoingStream({ id }) as AsyncIterable<StoredPacket>)
    payloads.push(String(packet.payload));
  return payloads;
}

describe('sessions', () => {
  test('messages that wait are bounded for each session, and stay over a restart', () =>
    withTempDir(async (dir) => {
      await withSessions(dir, async (opened) => {
        await subscribe(opened, 'a', 't');
        for (const payload of ['1', '2', '3', '4', '5']) await enqueue(opened, message('t', payload));
        expect(await waiting(opened, 'a')).toEqual(['1', '2', '3']);
        expect(opened.counters.droppedForSessions).toBe(2);
      });
      await withSessions(dir, async (opened) => {
        await enqueue(opened, message('t', '6'));
        expect(await waiting(opened, 'a')).toEqual(['1', '2', '3']);
        expect(opened.counters.droppedForSessions).toBe(1);
      });
    }));

  test('their bytes are bounded together', () =>
    withTempDir((dir) =>
      withSessions(dir, async (opened) => {
        await subscribe(opened, 'a', 't');
        await subscribe(opened, 'b', 't');
        await enqueue(opened, message('t', 'x'.repeat(600)));
        expect([...(await waiting(opened, 'a')), ...(await waiting(opened, 'b'))]).toHaveLength(1);
      }),
    ));

  test('the session that was away longest makes room; one that is connected never does', () =>
    withTempDir((dir) =>
      withSessions(dir, async (opened) => {
        const { sessions, counters, online } = opened;
        await subscribe(opened, 'a', 't');
        await subscribe(opened, 'b', 't');
        await enqueue(opened, message('t'));
        await sessions.touch('a');
        online.add('a');
        expect(await sessions.admit('c')).toBe(true);
        expect(counters.evictedSessions).toBe(1);
        expect(await waiting(opened, 'b')).toEqual([]);
        expect((await sessions.subscriptionsByTopic('t')).map(({ clientId }) => clientId)).toEqual(['a']);
        online.add('c');
        expect(await sessions.admit('d')).toBe(false);
        expect(await sessions.admit('a')).toBe(true);
      }),
    ));

  test('a subscription that begins with a wildcard is not kept waiting for $ topics', () =>
    withTempDir((dir) =>
      withSessions(dir, async (opened) => {
        await subscribe(opened, 'a', '#');
        await subscribe(opened, 'b', '$hw/#');
        await enqueue(opened, message('$hw/x'));
        await enqueue(opened, message('x'));
        expect([await waiting(opened, 'a'), await waiting(opened, 'b')].map((list) => list.length)).toEqual([1, 1]);
      }),
    ));

  test('retained messages are bounded in number and bytes, and counted again after a restart', () =>
    withTempDir(async (dir) => {
      await withSessions(dir, async ({ sessions, counters }) => {
        await sessions.storeRetained(message('a', 'x'.repeat(40)));
        await sessions.storeRetained(message('b', 'x'.repeat(70)));
        await sessions.storeRetained(message('c', 'x'));
        await sessions.storeRetained(message('d', 'x'));
        expect(counters.droppedRetained).toBe(2);
      });
      await withSessions(dir, async ({ sessions, counters }) => {
        await sessions.storeRetained(message('d', 'x'));
        expect(counters.droppedRetained).toBe(1);
        await sessions.storeRetained(message('a', ''));
        await sessions.storeRetained(message('d', 'x'));
        expect(counters.droppedRetained).toBe(1);
      });
    }));

  test('a message that was not kept is still delivered to a client that is there', () =>
    withTempDir((dir) =>
      withSessions(dir, async ({ sessions }) => {
        await expect(sessions.outgoingUpdate({ id: 'a' }, { ...message('t'), messageId: 7 })).resolves.toBeUndefined();
      }),
    ));

  test('generations rise', () =>
    withTempDir(async (dir) => {
      const db = new ClassicLevel<string, Buffer>(dir, { valueEncoding: 'buffer' });
      expect([await nextGeneration(db), await nextGeneration(db)]).toEqual([1, 2]);
      await db.close();
    }));
});
