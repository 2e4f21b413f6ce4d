// The supervisor with launches that a test ends by hand.
import { describe, expect, test } from '@jest/globals';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import type { Launcher } from './launcher.js';
import { createLineSplitter } from './lines.js';
import { createSupervisor } from './supervisor.js';

function harness() {
  const clock = fakeClock();
  const log: string[] = [];
  const exits = new Map<string, (how: string) => void>();
  let pid = 0;
  const launch: Launcher<string> = async (name) => {
    log.push(`launch ${name}`);
    if (name === 'broken') throw new Error('no such program');
    const exited = new Promise<string>((resolve) => exits.set(name, resolve));
    const terminate = (): void => {
      log.push(`terminate ${name}`);
      exits.get(name)?.('exit code 0');
    };
    return { pid: ++pid, exited, terminate };
  };
  // Without jitter: random() = 0 waits the full ceiling.
  const make = (names: readonly string[]) =>
    createSupervisor({ names, launch, clock, logger: nullLogger(), random: () => 0 });
  return { clock, log, exits, make };
}

const never = new AbortController().signal;

describe('supervisor', () => {
  test('runs all, restarts the one that ends, stops all', async () => {
    const { clock, log, exits, make } = harness();
    const supervisor = make(['engine', 'twin']);
    await supervisor.start();
    await clock.advance(0);
    exits.get('twin')?.('signal SIGKILL');
    await clock.advance(499);
    expect(supervisor.sidecars().map(({ state }) => state.kind)).toEqual(['running', 'backoff']);
    await clock.advance(1);
    expect(supervisor.sidecars()[1]).toMatchObject({ name: 'twin', state: { kind: 'running', pid: 3 }, restarts: 1 });
    await supervisor.stop(never);
    expect(log).toEqual(['launch engine', 'launch twin', 'launch twin', 'terminate engine', 'terminate twin']);
    expect(clock.pending()).toBe(0);
  });

  test('waits 0.5 s, doubling to 10 s, while a launch fails, and stops in the middle of a wait', async () => {
    const { clock, log, make } = harness();
    const supervisor = make(['broken']);
    await supervisor.start();
    await clock.advance(0);
    const launches: number[] = [];
    for (let halfSeconds = 0; halfSeconds < 90; halfSeconds++) {
      launches.push(log.length);
      await clock.advance(500);
    }
    const startedAt = launches.flatMap((count, i) => (count > (launches[i - 1] ?? 0) ? [i / 2] : []));
    expect(startedAt).toEqual([0, 0.5, 1.5, 3.5, 7.5, 15.5, 25.5, 35.5]);
    expect(supervisor.sidecars()[0]).toMatchObject({ state: { kind: 'backoff' }, lastExit: 'no such program' });
    await supervisor.stop(never);
    expect(clock.pending()).toBe(0);
  });
});

describe('lines', () => {
  test('come out whole, the last one at the end, an endless one in pieces', () => {
    const lines: string[] = [];
    const splitter = createLineSplitter((line) => lines.push(line));
    for (const text of ['a', 'b\nc', '\n\n', 'd']) splitter.push(text);
    expect(lines).toEqual(['ab', 'c', '']);
    splitter.end();
    expect(lines.at(-1)).toBe('d');
    splitter.push('x'.repeat(40_000));
    splitter.end();
    expect(lines.slice(4).map((line) => line.length)).toEqual([16_384, 16_384, 7_232]);
  });
});
