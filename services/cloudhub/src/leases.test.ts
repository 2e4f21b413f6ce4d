import { beforeEach, describe, expect, test } from '@jest/globals';
import type { KubeClient } from '@skerry/common/kube/client';
import { KubeError } from '@skerry/common/kube/kube-error';
import { nullLogger } from '@skerry/common/logger';
import { type FakeClock, fakeClock } from '@skerry/common/testing/fake-clock';
import { type Counters, createCounters } from './counters.js';
import { createLeaseKeeper, type LeaseKeeper } from './leases.js';

const failure = (httpStatus: number): KubeError =>
  new KubeError(httpStatus === 404 ? 'not_found' : httpStatus === 403 ? 'permission_denied' : 'unavailable', 'no', {
    httpStatus,
  });

let clock: FakeClock;
let counters: Counters;
let leases: LeaseKeeper;
/** "<verb> <node> <seconds since the start>" */
let requests: string[];
let answer: (verb: string, node: string) => Promise<void>;

beforeEach(() => {
  clock = fakeClock(0);
  counters = createCounters();
  requests = [];
  answer = async () => {};
  const record = async (verb: string, node: string): Promise<never> => {
    requests.push(`${verb} ${node} ${clock.monotonicMs() / 1_000}`);
    await answer(verb, node);
    // The keeper reads nothing of what the API answers.
    return {} as never;
  };
  const kube: Pick<KubeClient, 'patch' | 'create'> = {
    patch: (_resource, ref) => record('patch', ref.name),
    create: (_resource, object) => record('create', object.metadata?.name ?? ''),
  };
  leases = createLeaseKeeper({ kube, clock, random: () => 0.5, counters, logger: nullLogger() });
});

/** Heartbeats every 10 s for so many seconds. */
async function beat(node: string, seconds: number): Promise<void> {
  for (let t = 0; t < seconds; t += 10) {
    leases.heartbeat(node);
    await clock.advance(10_000);
  }
}

describe('leases', () => {
  test('are renewed at the first heartbeat and every 20 s, and no longer once heartbeats stay out', async () => {
    await beat('edge-1', 60);
    expect(requests).toEqual(['patch edge-1 0', 'patch edge-1 20', 'patch edge-1 40', 'patch edge-1 60']);
    await clock.advance(300_000);
    expect(requests.slice(4)).toEqual([]);
    expect(leases.stats()).toEqual({ nodes: 0, queued: 0, inFlight: 0 });
    expect(clock.pending()).toBe(0);
    expect(counters.leasesRenewed).toBe(4);
  });

  test('end with the session; a quick return does not renew twice', async () => {
    leases.heartbeat('edge-1');
    await clock.advance(5_000);
    leases.forget('edge-1');
    leases.heartbeat('edge-1');
    await clock.advance(15_000);
    expect(requests).toEqual(['patch edge-1 0', 'patch edge-1 20']);
    leases.forget('edge-1');
    await clock.advance(60_000);
    expect(requests).toHaveLength(2);
  });

  test('are created when missing, even if somebody else is quicker', async () => {
    answer = async (verb) => {
      if (verb === 'patch') throw failure(404);
      throw new KubeError('already_exists', 'no', { httpStatus: 409, reason: 'AlreadyExists' });
    };
    await beat('edge-1', 10);
    expect(requests).toEqual(['patch edge-1 0', 'create edge-1 0']);
    expect(counters.leasesFailed).toBe(0);
  });

  test('wait together while the API is away, one probe at a time, then all go', async () => {
    answer = async () => Promise.reject(failure(0));
    for (let i = 0; i < 100; i++) leases.heartbeat(`edge-${i}`);
    await clock.advance(20_000);
    expect(requests.length).toBeLessThan(30);
    expect(leases.stats().queued).toBe(100);
    answer = async () => {};
    requests = [];
    for (let i = 0; i < 100; i++) leases.heartbeat(`edge-${i}`);
    await clock.advance(5_000);
    expect(new Set(requests.map((r) => r.split(' ')[1])).size).toBe(100);
    await leases.stop(AbortSignal.timeout(1_000));
    expect(clock.pending()).toBe(0);
  });

  test('of a node that is refused do not hold up the others', async () => {
    answer = async (_verb, node) => (node === 'bad' ? Promise.reject(failure(403)) : undefined);
    leases.heartbeat('bad');
    leases.heartbeat('good');
    await beat('good', 20);
    expect(requests.filter((r) => r.includes('good'))).toEqual(['patch good 0', 'patch good 20']);
    expect(requests.filter((r) => r.includes('bad'))).toEqual(['patch bad 0', 'patch bad 20']);
  });

  test('are written by few requests at once, with one per node when the API is slow', async () => {
    let release = (): void => {};
    const slow = new Promise<void>((resolve) => {
      release = resolve;
    });
    answer = () => slow;
    for (let round = 0; round < 5; round++) for (let i = 0; i < 40; i++) leases.heartbeat(`edge-${i}`);
    expect(leases.stats()).toEqual({ nodes: 40, queued: 24, inFlight: 16 });
    release();
    await clock.advance(0);
    expect(requests).toHaveLength(40);
    await leases.stop(AbortSignal.timeout(1_000));
  });
});
