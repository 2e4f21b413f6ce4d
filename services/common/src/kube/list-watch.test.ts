import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { initialState, type ListWatchEffect, type ListWatchInput, type ListWatchState, step } from './list-watch.js';

// Each line: an input -> the state after it; the effects it asks for.
const scenarios: Record<string, string> = {
  'lists in pages, then watches from the version of the last page': `
    start           -> listing; list
    page 10 more=a  -> listing; next-page a
    page 10 more=b  -> listing; next-page b
    page 10         -> watching@10; sweep, watch@10
    event 11        -> watching@11;
    event 14        -> watching@14;
    ended 300000    -> watching@14; watch@14`,
  'nothing is swept before the last page: a pass that fails starts over': `
    start           -> listing; list
    page 10 more=a  -> listing; next-page a
    list transient  -> waiting(list); wait 1
    waited          -> listing; list
    page 12         -> watching@12; sweep, watch@12`,
  'an expired continue token starts the pass over': `
    start           -> listing; list
    page 10 more=a  -> listing; next-page a
    list gone       -> waiting(list); wait 1
    waited          -> listing; list`,
  'a dropped watch goes on from its last event': `
    start           -> listing; list
    page 10         -> watching@10; sweep, watch@10
    event 11        -> watching@11;
    watch transient -> waiting(watch@11); wait 1
    waited          -> watching@11; watch@11
    watch transient -> waiting(watch@11); wait 2
    waited          -> watching@11; watch@11
    event 12        -> watching@12;
    watch transient -> waiting(watch@12); wait 1`,
  'a Retry-After is the least that is waited': `
    start           -> listing; list
    list transient 7000 -> waiting(list); wait 1>=7000`,
  'a 410 lists at once the first time, with a back-off when lists do not help': `
    start           -> listing; list
    page 10         -> watching@10; sweep, watch@10
    watch gone      -> listing; desynced, list
    page 20         -> watching@20; sweep, watch@20
    watch gone      -> waiting(list); desynced, wait 1
    waited          -> listing; list
    page 30         -> watching@30; sweep, watch@30
    watch gone      -> waiting(list); desynced, wait 2
    waited          -> listing; list
    page 40         -> watching@40; sweep, watch@40
    event 41        -> watching@41;
    watch gone      -> listing; desynced, list`,
  'what cannot be trusted is listed again': `
    start           -> listing; list
    page 10         -> watching@10; sweep, watch@10
    event 11        -> watching@11;
    watch broken    -> listing; desynced, list`,
  'a server that hangs up on every watch at once is not hammered, and is doubted in the end': `
    start           -> listing; list
    page 10         -> watching@10; sweep, watch@10
    ended 5         -> waiting(watch@10); wait 1
    waited          -> watching@10; watch@10
    ended 5         -> waiting(watch@10); wait 2
    waited          -> watching@10; watch@10
    ended 5         -> waiting(watch@10); wait 3
    waited          -> watching@10; watch@10
    ended 5         -> waiting(watch@10); wait 4
    waited          -> watching@10; watch@10
    ended 5         -> waiting(watch@10); wait 5
    waited          -> watching@10; watch@10
    ended 5         -> waiting(watch@10); wait 6
    waited          -> watching@10; watch@10
    ended 5         -> waiting(watch@10); wait 7
    waited          -> watching@10; watch@10
    ended 5         -> listing; desynced, list`,
  'a quiet watch that lived is healthy': `
    start           -> listing; list
    page 10         -> watching@10; sweep, watch@10
    ended 10000     -> watching@10; watch@10`,
  'a wished relist leaves what is under way': `
    start           -> listing; list
    page 10         -> watching@10; sweep, watch@10
    relist          -> listing; abort, list
    relist          -> listing; abort, list
    page 11         -> watching@11; sweep, watch@11
    watch transient -> waiting(watch@11); wait 1
    relist          -> listing; abort, list`,
  'stopped is final': `
    start           -> listing; list
    stop            -> stopped; abort
    page 10         -> stopped;
    waited          -> stopped;
    relist          -> stopped;`,
};

describe('list and watch', () => {
  test.each(Object.entries(scenarios))('%s', (_name, script) => {
    let state = initialState();
    const lines = script.trim().split('\n');
    const played = lines.map((line) => {
      const input = line.slice(0, line.indexOf('->')).trim();
      const next = step(state, parseInput(input));
      state = next.state;
      return `${input} -> ${showState(state)};${next.effects.map((e, i) => (i ? ', ' : ' ') + showEffect(e)).join('')}`;
    });
    expect(played).toEqual(lines.map((line) => line.trim().replace(/\s+->/, ' ->')));
  });

  test('whatever happens: sweeps follow last pages only, watches use versions of their own chain', () => {
    const failure = fc.constantFrom(
      { kind: 'gone' as const },
      { kind: 'broken' as const },
      { kind: 'transient' as const },
    );
    const input: fc.Arbitrary<ListWatchInput> = fc.oneof(
      fc.constant({ kind: 'start' as const }),
      fc.record({ kind: fc.constant('page' as const), version: fc.nat(50).map(String) }),
      fc.record({
        kind: fc.constant('page' as const),
        version: fc.nat(50).map(String),
        continueToken: fc.constant('c'),
      }),
      fc.record({ kind: fc.constant('list-failed' as const), failure }),
      fc.record({ kind: fc.constant('event' as const), version: fc.nat(50).map(String) }),
      fc.record({ kind: fc.constant('watch-ended' as const), lastedMs: fc.nat(20_000) }),
      fc.record({ kind: fc.constant('watch-failed' as const), failure }),
      fc.constant({ kind: 'waited' as const }),
      fc.constant({ kind: 'relist' as const }),
    );
    fc.assert(
      fc.property(fc.array(input, { maxLength: 60 }), (inputs) => {
        let state = initialState();
        let chain: string | undefined;
        for (const each of inputs) {
          const before = state;
          const next = step(state, each);
          state = next.state;
          if (before.kind === 'listing' && each.kind === 'page' && each.continueToken === undefined)
            chain = each.version;
          else if (before.kind === 'watching' && each.kind === 'event') chain = each.version;
          for (const effect of next.effects) {
            if (effect.kind === 'list') chain = undefined;
            if (effect.kind === 'watch') expect(effect.version).toBe(chain);
            if (effect.kind === 'sweep') expect([before.kind, each.kind]).toEqual(['listing', 'page']);
          }
          expect(
            next.effects.filter((e) => ['list', 'next-page', 'watch', 'wait'].includes(e.kind)).length,
          ).toBeLessThan(2);
        }
      }),
    );
  });
});

function parseInput(text: string): ListWatchInput {
  const [word = '', first = '', second = ''] = text.split(/\s+/);
  switch (word) {
    case 'start':
    case 'waited':
    case 'relist':
    case 'stop':
      return { kind: word };
    case 'page':
      return { kind: 'page', version: first, ...(second && { continueToken: second.replace('more=', '') }) };
    case 'event':
      return { kind: 'event', version: first };
    case 'ended':
      return { kind: 'watch-ended', lastedMs: Number(first) };
    case 'list':
    case 'watch': {
      const kind = first as 'gone' | 'broken' | 'transient';
      const failure = kind === 'transient' && second ? { kind, retryAfterMs: Number(second) } : { kind };
      return { kind: `${word}-failed`, failure };
    }
    default:
      throw new Error(`unknown input ${text}`);
  }
}

function showState(state: ListWatchState): string {
  if (state.kind === 'watching') return `watching@${state.version}`;
  if (state.kind === 'waiting')
    return `waiting(${state.next.kind === 'list' ? 'list' : `watch@${state.next.version}`})`;
  return state.kind;
}

function showEffect(effect: ListWatchEffect): string {
  switch (effect.kind) {
    case 'next-page':
      return `next-page ${effect.continueToken}`;
    case 'watch':
      return `watch@${effect.version}`;
    case 'wait':
      return `wait ${effect.failures}${effect.atLeastMs > 0 ? `>=${effect.atLeastMs}` : ''}`;
    default:
      return effect.kind;
  }
}
