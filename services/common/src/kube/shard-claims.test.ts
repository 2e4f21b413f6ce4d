import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nullLogger } from '../logger.js';
import { type FakeClock, fakeClock } from '../testing/fake-clock.js';
import { assignShards, planClaims } from './claim-plan.js';
import type { LeaseRecord } from './lease.js';
import { createShardClaims, type ShardClaims } from './shard-claims.js';
import { createMemoryApi, type MemoryApi } from './testing/memory-api.js';

const SHARDS = 8;
const never = new AbortController().signal;

interface Replica {
  readonly claims: ShardClaims;
  readonly line: { cut: boolean; delayMs: number };
}

function replicaOf(api: MemoryApi, identity: string, clock: FakeClock): Replica {
  const line = { cut: false, delayMs: 0 };
  const hold = async (): Promise<void> => {
    while (line.cut) await clock.sleep(500);
    if (line.delayMs > 0) await clock.sleep(line.delayMs);
  };
  const claims = createShardClaims({
    client: api.clientFor(hold) as never,
    service: 'controller',
    namespace: 'skerry',
    identity,
    shards: SHARDS,
    onChange: () => {},
    clock,
    random: () => 0.5,
    logger: nullLogger(),
  });
  return { claims, line };
}

function ownersOf(replicas: readonly Replica[]): number[] {
  return replicas.map(({ claims }) => claims.owned().size);
}

describe('shard claims', () => {
  test('one replica has all shards, each with an epoch, and then writes its membership only', async () => {
    const clock = fakeClock();
    const api = createMemoryApi();
    const { claims } = replicaOf(api, 'a', clock);
    await claims.start();
    await clock.advance(2_000);
    expect(new Set(claims.owned().keys())).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7]));
    expect(claims.epochOf(3)).toBeGreaterThan(0);
    expect(claims.epochOf(99)).toBeUndefined();
    const before = api.writes();
    await clock.advance(60_000);
    expect(api.writes() - before).toBeLessThanOrEqual(15); // one renewal every 5 s, with jitter
    await claims.stop(never);
    expect(clock.pending()).toBe(0);
    expect(claims.owned().size).toBe(0);
    // The shards' Leases stay as records of their epochs, free; the membership is gone.
    expect(api.objects()).toHaveLength(SHARDS);
  });

  test('a second replica gets its half without waiting for anything to expire, and gives it back when it stops', async () => {
    const clock = fakeClock();
    const api = createMemoryApi();
    const a = replicaOf(api, 'a', clock);
    const b = replicaOf(api, 'b', clock);
    await a.claims.start();
    await clock.advance(5_000);
    await b.claims.start();
    await clock.advance(10_000);
    expect(ownersOf([a, b])).toEqual([4, 4]);
    await b.claims.stop(never);
    await clock.advance(5_000);
    expect(ownersOf([a])).toEqual([8]);
    await a.claims.stop(never);
    expect(clock.pending()).toBe(0);
  });

  test('the shards of a dead replica are taken over after its membership expired, under higher epochs', async () => {
    const clock = fakeClock();
    const api = createMemoryApi();
    const a = replicaOf(api, 'a', clock);
    const b = replicaOf(api, 'b', clock);
    await a.claims.start();
    await b.claims.start();
    await clock.advance(15_000);
    const before = new Map(b.claims.owned());
    expect(before.size).toBe(4);
    b.line.cut = true;
    await clock.advance(12_000);
    expect(ownersOf([a, b])).toEqual([4, 0]);
    await clock.advance(15_000);
    expect(ownersOf([a, b])).toEqual([8, 0]);
    for (const [shard, epoch] of before) expect(a.claims.epochOf(shard)).toBeGreaterThan(epoch);
    b.line.cut = false;
    await clock.advance(20_000);
    expect(ownersOf([a, b])).toEqual([4, 4]);
    await a.claims.stop(never);
    await b.claims.stop(never);
  });

  test('a shard Lease that is deleted by hand is claimed anew under a higher epoch', async () => {
    const clock = fakeClock();
    const api = createMemoryApi();
    const { claims } = replicaOf(api, 'a', clock);
    await claims.start();
    // All within one minute: the clock alone would give the same epoch again.
    for (let round = 0; round < 3; round++) {
      await clock.advance(5_000);
      const epoch = claims.epochOf(3) ?? Number.NaN;
      await api.clientFor().delete({} as never, { namespace: 'skerry', name: 'controller-shard-3' });
      await clock.advance(5_000);
      expect(claims.epochOf(3)).toBeGreaterThan(epoch);
    }
    await claims.stop(never);
  });

  test('whatever is slow or cut off: no shard has two owners, epochs only grow, and in the end every shard has one', async () => {
    const act = fc.record({
      replica: fc.nat(2),
      act: fc.constantFrom('cut', 'mend', 'slow', 'fast'),
      thenMs: fc.integer({ min: 200, max: 20_000 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 3, maxLength: 12 }), async (acts) => {
        const clock = fakeClock();
        const api = createMemoryApi();
        const replicas = ['a', 'b', 'c'].map((id) => replicaOf(api, id, clock));
        const highest = new Map<number, number>();
        const check = (): void => {
          const served = replicas.flatMap(({ claims }) => [...claims.owned()]);
          expect(new Set(served.map(([shard]) => shard)).size).toBe(served.length);
          for (const [shard, epoch] of served) {
            expect(epoch).toBeGreaterThanOrEqual(highest.get(shard) ?? 0);
            highest.set(shard, epoch);
          }
        };
        const run = async (ms: number): Promise<void> => {
          for (let t = 0; t < ms; t += 400) {
            await clock.advance(400);
            check();
          }
        };
        for (const { claims } of replicas) await claims.start();
        for (const { replica, act, thenMs } of acts) {
          const line = replicas[replica]?.line;
          if (!line) continue;
          if (act === 'cut' || act === 'mend') line.cut = act === 'cut';
          else line.delayMs = act === 'slow' ? 4_000 : 0;
          await run(thenMs);
        }
        for (const { line } of replicas) Object.assign(line, { cut: false, delayMs: 0 });
        await run(90_000);
        expect(ownersOf(replicas).reduce((sum, n) => sum + n, 0)).toBe(SHARDS);
        for (const { claims } of replicas) await claims.stop(never);
      }),
      { numRuns: 10 },
    );
  }, 60_000);
});

describe('the plan', () => {
  test('replicas agree, nobody has more than an even share, and most shards stay when one leaves', () => {
    const all = assignShards(['a', 'b', 'c'], 64);
    expect(all).toEqual(assignShards(['a', 'b', 'c'], 64));
    for (const member of ['a', 'b', 'c'])
      expect(all.filter((owner) => owner === member).length).toBeLessThanOrEqual(22);
    const two = assignShards(['a', 'b'], 64);
    const moved = all.filter((owner, shard) => owner !== 'c' && owner !== two[shard]).length;
    expect(moved).toBeLessThan(16);
    expect(assignShards([], 64)).toEqual([]);
  });

  test('free and own Leases are taken, those of the dead taken over, those of the living left', () => {
    const record = (holder: string): LeaseRecord => ({
      holder,
      durationMs: 15_000,
      epoch: 1,
      renewTime: '',
      resourceVersion: '1',
    });
    const leases = new Map([
      [0, record('a')],
      [1, record('')],
      [2, record('dead')],
      [3, record('b')],
    ]);
    const actions = planClaims({ self: 'a', members: new Set(['a']), leases, owned: new Map(), shards: 5 });
    expect(actions.map((action) => `${action.kind} ${action.shard}`)).toEqual([
      'take 0',
      'take 1',
      'take-over 2',
      'take-over 3',
      'take 4',
    ]);
    const members = new Set(['a', 'b']);
    const shared = planClaims({ self: 'a', members, leases, owned: new Map([[0, 1]]), shards: 4 });
    const owners = assignShards(['a', 'b'], 4);
    for (const action of shared) {
      if (action.kind === 'release') expect(owners[action.shard]).toBe('b');
      else expect([owners[action.shard], leases.get(action.shard)?.holder]).not.toEqual(['a', 'b']);
    }
  });
});
