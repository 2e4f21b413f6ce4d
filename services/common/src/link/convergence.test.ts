// Whatever is lost, repeated or killed on the way: state converges to the newest, logs take effect in order and once, nothing is deleted
// that is wanted, and what is held stays bounded.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createWorld, type World } from './testing/world.js';

const NODES = ['n1', 'n2'] as const;
const KEYS = 6;
const RUNS = 400;
const STEPS = 60;

type Step =
  | { readonly kind: 'want' | 'unwanted' | 'report'; readonly node: string; readonly key: number }
  | { readonly kind: 'log' | 'connect' | 'crash' | 'stick'; readonly node: string }
  | { readonly kind: 'controllerConnects' | 'controllerRestarts' | 'informersSync' | 'api' }
  | { readonly kind: 'deliver'; readonly wire: number; readonly to: 0 | 1; readonly count: number }
  | { readonly kind: 'cut' | 'repeat'; readonly wire: number; readonly to: 0 | 1 }
  | { readonly kind: 'run' }
  | { readonly kind: 'wait'; readonly ms: number };

const node = fc.constantFrom(...NODES);
const key = fc.nat(KEYS - 1);
const wire = fc.nat(2);
const to = fc.constantFrom<0 | 1>(0, 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('want', 'unwanted', 'report'), node, key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('log'), node }) },
  {
    weight: 16,
    arbitrary: fc.record({ kind: fc.constant('deliver'), wire, to, count: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('connect'), node }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('crash', 'stick'), node }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('controllerConnects', 'controllerRestarts', 'controllerRestarts', 'informersSync', 'api'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('cut', 'repeat'), wire, to }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('run') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.constantFrom(5, 3_000, 700_000) }) },
) as fc.Arbitrary<Step>;

describe('the link under faults', () => {
  test('converges, applies logs once and in order, never deletes what is wanted', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: STEPS }), async (steps) => {
        const world = start();
        try {
          for (const taken of steps) {
            await take(world, taken);
            expectBounded(world);
          }
          await heal(world);
          expectConverged(world);
        } finally {
          world.close();
        }
        expect(world.clock.pending()).toBe(0);
      }),
      // A failure prints its seed and path: give them here to play it again.
      { numRuns: RUNS, verbose: false },
    );
  });
});

function start(): World {
  const world = createWorld();
  for (const name of NODES) world.addEdge(name);
  world.addController('k1', 1n);
  world.sync('k1');
  world.connectController('k1');
  for (const name of NODES) world.connectEdge(name);
  return world;
}

let version = 0;

async function take(world: World, taken: Step): Promise<void> {
  switch (taken.kind) {
    case 'want':
      // A key that was deleted stays so: keys hold the UID.
      if (!world.gone.has(nameOf(taken))) world.desire(taken.node, nameOf(taken), `v${++version}`);
      break;
    case 'unwanted':
      world.gone.add(nameOf(taken));
      world.desire(taken.node, nameOf(taken), undefined);
      break;
    case 'report':
      world.report(taken.node, `podstatus/${taken.node}/${taken.key}`, `v${++version}`);
      break;
    case 'log':
      world.log(taken.node);
      break;
    case 'connect':
      world.connectEdge(taken.node);
      break;
    case 'crash':
      world.crashEdge(taken.node);
      break;
    case 'stick': {
      const edge = world.edges.get(taken.node);
      if (edge) edge.stuck = !edge.stuck;
      if (edge && !edge.stuck) for (const release of edge.release.splice(0)) release();
      break;
    }
    case 'controllerConnects':
      world.connectController('k1');
      break;
    case 'controllerRestarts':
      world.crashController('k1');
      world.connectController('k1');
      break;
    case 'informersSync':
      world.sync('k1');
      break;
    case 'api':
      world.api.reachable = !world.api.reachable;
      break;
    case 'deliver':
      for (let i = 0; i < taken.count; i++) world.wires()[taken.wire]?.deliver(taken.to);
      break;
    case 'cut':
      world.wires()[taken.wire]?.cut();
      break;
    case 'repeat':
      world.wires()[taken.wire]?.repeat(taken.to);
      break;
    case 'run':
      await world.run();
      break;
    case 'wait':
      await world.clock.advance(taken.ms);
      break;
  }
  await world.clock.advance(0);
}

const nameOf = ({ node: name, key: number }: { readonly node: string; readonly key: number }): string =>
  `pod/${name}/${number}`;

/** Faults end, everybody comes back. */
async function heal(world: World): Promise<void> {
  world.api.reachable = true;
  for (const edge of world.edges.values()) {
    edge.stuck = false;
    for (const release of edge.release.splice(0)) release();
  }
  world.sync('k1');
  world.connectController('k1');
  for (const name of NODES) world.connectEdge(name);
  await world.run();
  // Reads and appends that failed are tried again within seconds.
  for (let i = 0; i < 3; i++) {
    await world.clock.advance(5_000);
    await world.run();
  }
}

function expectConverged(world: World): void {
  expect(world.faults).toEqual([]);
  for (const name of NODES) {
    const disk = world.edges.get(name)?.disk;
    expect(sorted(disk?.store)).toEqual(sorted(world.api.desired.get(name)));
    expect(disk?.unsynced).toBe(false);
    const written = [...world.api.statuses].filter(([status]) => status.startsWith(`podstatus/${name}/`));
    expect(sorted(new Map(written))).toEqual(sorted(disk?.statuses));
    expect(world.api.effects.get(name) ?? []).toEqual(disk?.log);
    expect(disk?.cursor).toBe(BigInt(disk?.log.length ?? 0));
  }
  for (const session of sessionsOf(world)) expect(session.stats()).toMatchObject({ dirty: 0, outstanding: 0 });
}

/** Nothing grows with the number of steps: each key is under way once, the log by its credit. */
function expectBounded(world: World): void {
  expect(world.faults).toEqual([]);
  for (const session of sessionsOf(world)) {
    const { dirty, outstanding, strays } = session.stats();
    // Both ends always speak of the same lane session.
    expect(strays).toBe(0);
    expect(dirty).toBeLessThanOrEqual(2 * KEYS);
    expect(outstanding).toBeLessThanOrEqual(KEYS);
  }
  for (const open of world.wires()) expect(open.waiting(0) + open.waiting(1)).toBeLessThan(400);
}

function sessionsOf(world: World) {
  const [controller] = world.controllers.values();
  return [...[...world.edges.values()].map(({ session }) => session), ...(controller?.sessions.values() ?? [])];
}

function sorted(map: ReadonlyMap<string, string> | undefined): [string, string][] {
  return [...(map ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
}
