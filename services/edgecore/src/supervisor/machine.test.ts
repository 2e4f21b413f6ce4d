// The supervisor's decisions, one by one and under any sequence of events.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HEALTHY_MS, initialSidecar, type Sidecar, type SidecarEvent, step } from './machine.js';

function play(events: readonly SidecarEvent[]): { sidecar: Sidecar; effects: string[] } {
  let sidecar = initialSidecar;
  const effects: string[] = [];
  for (const event of events) {
    const next = step(sidecar, event);
    sidecar = next.sidecar;
    effects.push(...next.effects.map((effect) => (effect.kind === 'wait' ? `wait ${effect.failures}` : effect.kind)));
  }
  return { sidecar, effects };
}

const start: SidecarEvent = { kind: 'start' };
const launched = (atMs: number): SidecarEvent => ({ kind: 'launched', pid: 7, atMs });
const exited = (atMs: number): SidecarEvent => ({ kind: 'exited', reason: 'signal SIGKILL', atMs });
const over: SidecarEvent = { kind: 'backoff-over' };
const stop: SidecarEvent = { kind: 'stop' };

describe('supervisor machine', () => {
  test('restarts what exits, waiting longer each time', () => {
    const { sidecar, effects } = play([start, launched(0), exited(1), over, launched(2), exited(3), over, launched(4)]);
    expect(effects).toEqual(['launch', 'wait 1', 'launch', 'wait 2', 'launch']);
    expect(sidecar).toMatchObject({ state: { kind: 'running', pid: 7 }, restarts: 2, lastExit: 'signal SIGKILL' });
  });

  test('a healthy minute makes the next wait short again', () => {
    const crashed = [start, launched(0), exited(1), over, launched(2)];
    expect(play([...crashed, exited(2 + HEALTHY_MS)]).effects.at(-1)).toBe('wait 1');
    expect(play([...crashed, exited(1 + HEALTHY_MS)]).effects.at(-1)).toBe('wait 2');
  });

  test('a launch that fails is tried again', () => {
    const { sidecar, effects } = play([start, { kind: 'launch-failed', reason: 'old engine still runs' }, over]);
    expect(effects).toEqual(['launch', 'wait 1', 'launch']);
    expect(sidecar.lastExit).toBe('old engine still runs');
  });

  test('stops from every state', () => {
    expect(play([start, launched(0), stop, exited(1)])).toMatchObject({
      sidecar: { state: { kind: 'stopped' } },
      effects: ['launch', 'terminate'],
    });
    expect(play([start, launched(0), exited(1), stop])).toMatchObject({
      sidecar: { state: { kind: 'stopped' } },
      effects: ['launch', 'wait 1', 'cancel-wait'],
    });
    expect(play([start, stop, launched(1), exited(2)])).toMatchObject({
      sidecar: { state: { kind: 'stopped' } },
      effects: ['launch', 'terminate'],
    });
    expect(play([start, stop, { kind: 'launch-failed', reason: 'x' }]).sidecar.state.kind).toBe('stopped');
    expect(play([stop]).sidecar.state.kind).toBe('stopped');
  });

  test('property: whatever happens, never two launches without an end in between, and a stop always ends', () => {
    const event = fc.constantFrom<SidecarEvent>(start, launched(5), exited(6), over, stop, {
      kind: 'launch-failed',
      reason: 'x',
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        let sidecar = initialSidecar;
        // The world: events that cannot happen (an exit without an instance) are left out.
        let launching = false;
        let alive = false;
        const feed = (next: SidecarEvent): void => {
          if ((next.kind === 'launched' || next.kind === 'launch-failed') && !launching) return;
          if (next.kind === 'exited' && !alive) return;
          if (next.kind === 'launched') alive = true;
          if (next.kind === 'exited') alive = false;
          if (next.kind === 'launched' || next.kind === 'launch-failed') launching = false;
          const result = step(sidecar, next);
          sidecar = result.sidecar;
          for (const effect of result.effects) {
            if (effect.kind !== 'launch') continue;
            expect(launching || alive).toBe(false);
            launching = true;
          }
        };
        for (const next of events) feed(next);
        feed(stop);
        feed(launched(9));
        feed(exited(9));
        expect(sidecar.state.kind).toBe('stopped');
      }),
    );
  });
});
