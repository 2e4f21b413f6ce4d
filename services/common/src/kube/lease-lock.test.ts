import { describe, expect, test } from '@jest/globals';
import { nullLogger } from '../logger.js';
import { type FakeClock, fakeClock } from '../testing/fake-clock.js';
import { type LeaseRecord, nextEpoch } from './lease.js';
import { createLeaseLock, mayTake } from './lease-lock.js';
import type { Lease } from './resources.js';
import { createMemoryApi, type MemoryClient } from './testing/memory-api.js';

const at = { namespace: 'skerry', name: 'leader', labels: { app: 'test' } };
const never = new AbortController().signal;

function lockOf(client: MemoryClient, identity: string, clock: FakeClock, changes: (number | undefined)[] = []) {
  return createLeaseLock({
    client,
    lease: at,
    identity,
    onChange: (epoch) => void changes.push(epoch),
    clock,
    random: () => 0.5,
    logger: nullLogger(),
  });
}

/** A connection that a test can cut: requests then hang until it is mended. */
function cuttable() {
  let mended = Promise.resolve();
  let mend = (): void => {};
  return {
    hold: () => mended,
    cut(): void {
      mended = new Promise((resolve) => {
        mend = resolve;
      });
    },
    mend: () => mend(),
  };
}

describe('lease lock', () => {
  test('is won, renewed for as long as it runs, and released for the next one', async () => {
    const clock = fakeClock();
    const api = createMemoryApi();
    const changes: (number | undefined)[] = [];
    const first = lockOf(api.clientFor(), 'a', clock, changes);
    await first.start();
    await clock.advance(0);
    const epoch = first.epoch() ?? 0;
    expect(epoch).toBeGreaterThan(0);
    await clock.advance(120_000);
    expect(first.epoch()).toBe(epoch);
    expect((api.objects()[0] as Lease).spec).toMatchObject({ holderIdentity: 'a', leaseTransitions: epoch });
    expect((api.objects()[0] as Lease).spec?.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);

    await first.stop(never);
    expect(changes).toEqual([epoch, undefined]);
    expect((api.objects()[0] as Lease).spec).toMatchObject({ holderIdentity: '', leaseTransitions: epoch });

    const second = lockOf(api.clientFor(), 'b', clock);
    await second.start();
    await clock.advance(0);
    expect(second.epoch()).toBeGreaterThan(epoch);
    await second.stop(never);
    expect(clock.pending()).toBe(0);
  });

  test('is lost here before another takes it, also when the cut-off holder comes back', async () => {
    const clock = fakeClock();
    const api = createMemoryApi();
    const line = cuttable();
    const a = lockOf(api.clientFor(line.hold), 'a', clock);
    const b = lockOf(api.clientFor(), 'b', clock);
    await a.start();
    await clock.advance(0);
    await b.start();
    const epoch = a.epoch() ?? 0;
    line.cut();
    for (let i = 0; i < 400 && b.epoch() === undefined; i++) {
      await clock.advance(100);
      expect(a.epoch() !== undefined && b.epoch() !== undefined).toBe(false);
    }
    expect(b.epoch()).toBeGreaterThan(epoch);
    expect(a.epoch()).toBeUndefined();
    line.mend();
    await clock.advance(30_000);
    expect(a.epoch()).toBeUndefined();
    expect(b.epoch()).toBeDefined();
    await a.stop(never);
    await b.stop(never);
    expect(clock.pending()).toBe(0);
  });

  test('an answer that comes after the claim lapsed does not bring it back: it is won anew, higher', async () => {
    const clock = fakeClock();
    const api = createMemoryApi();
    const line = cuttable();
    const changes: (number | undefined)[] = [];
    const a = lockOf(api.clientFor(line.hold), 'a', clock, changes);
    await a.start();
    await clock.advance(0);
    const epoch = a.epoch() ?? 0;
    line.cut();
    await clock.advance(11_000);
    expect(a.epoch()).toBeUndefined();
    line.mend();
    await clock.advance(2_000);
    expect(changes).toEqual([epoch, undefined, epoch + 1]);
    await a.stop(never);
  });

  test('a restarted process with its old identity need not wait', async () => {
    const clock = fakeClock();
    const api = createMemoryApi();
    const killed = cuttable();
    const before = lockOf(api.clientFor(killed.hold), 'a', clock);
    await before.start();
    await clock.advance(0);
    const epoch = before.epoch() ?? 0;
    const after = lockOf(api.clientFor(), 'a', clock);
    await after.start();
    await clock.advance(0);
    expect(after.epoch()).toBe(epoch + 1);
    await after.stop(never);
    await before.stop(never);
  });

  test('a holder whose Lease is deleted or taken by hand notices at its next renewal', async () => {
    const clock = fakeClock();
    const api = createMemoryApi();
    const changes: (number | undefined)[] = [];
    const a = lockOf(api.clientFor(), 'a', clock, changes);
    await a.start();
    await clock.advance(0);
    await api.clientFor().delete({} as never, at);
    await clock.advance(7_000);
    expect(changes).toHaveLength(3);
    expect(changes[1]).toBeUndefined();
    expect(a.epoch()).toBe(changes[2]);
    await a.stop(never);
  });
});

describe('mayTake', () => {
  const record: LeaseRecord = { holder: 'b', durationMs: 15_000, epoch: 3, renewTime: 't', resourceVersion: '9' };

  test.each([
    ['no Lease', undefined, 0, true],
    ['released', { ...record, holder: '' }, 0, true],
    ['our own', { ...record, holder: 'a' }, 0, true],
    ['just seen', record, 14_999, false],
    ['not renewed for its duration', record, 15_000, true],
    ['renewed meanwhile', { ...record, resourceVersion: '10' }, 60_000, false],
  ])('%s', (_name, lease, elapsedMs, expected) => {
    expect(mayTake(lease, 'a', { version: '9', sinceMs: 1_000 }, 1_000 + elapsedMs)).toBe(expected);
  });
});

test('an epoch is above all earlier ones, even if the Lease is new or from an old backup', () => {
  const nowMs = 1_700_000_000_000;
  const minutes = Math.floor(nowMs / 60_000);
  const record: LeaseRecord = { holder: '', durationMs: 0, epoch: minutes + 7, renewTime: '', resourceVersion: '1' };
  expect(nextEpoch(0, nowMs)).toBe(minutes);
  expect(nextEpoch(record.epoch, nowMs)).toBe(minutes + 8);
  expect(nextEpoch(3, nowMs)).toBe(minutes);
});
