import { describe, expect, test } from '@jest/globals';
import type { TwinPatch } from '@skerry/gen/skerry/edge/v1/twin';
import { NOW, patch, property, twinOf, value } from './testing/twins.js';
import { type DeviceTwin, LIMITS, type Property } from './types.js';
import { type Acceptance, decideUpdate } from './update.js';

const decide = (twin: DeviceTwin, patches: Record<string, TwinPatch>) =>
  decideUpdate(twin, new Map(Object.entries(patches)), NOW + 1);

function accepted(twin: DeviceTwin, patches: Record<string, TwinPatch>): Acceptance {
  const decision = decide(twin, patches);
  if (decision.kind === 'refused') throw new Error(decision.reason);
  return decision;
}

const only = (twin: DeviceTwin, p: TwinPatch): Property | undefined => accepted(twin, { p }).changes[0]?.next;

describe('a write', () => {
  test('creates a property: string and optional unless the client says otherwise', () => {
    expect(only(twinOf(), patch({ actual: '7' }))).toEqual(
      property({ actual: value('7', 'device', NOW + 1), actualVersion: { cloud: 0, edge: 1 } }),
    );
    expect(only(twinOf(), patch({ type: 'int', optional: false }))).toMatchObject({
      type: 'int',
      optional: false,
      actual: undefined,
    });
  });

  test('raises the edge version of its side only, also for the same value', () => {
    const twin = twinOf({ p: property({ actual: value('7'), actualVersion: { cloud: 0, edge: 4 } }) });
    expect(only(twin, patch({ actual: '7' }))).toMatchObject({
      actual: { value: '7', timestampMs: NOW + 1 },
      actualVersion: { cloud: 0, edge: 5 },
      expectedVersion: { cloud: 0, edge: 0 },
    });
  });

  test('tells who wrote: expected an application on the node, actual the device', () => {
    expect(only(twinOf(), patch({ expected: 'a', actual: 'b' }))).toMatchObject({
      expected: { provenance: 'edge' },
      actual: { provenance: 'device' },
    });
  });

  test('the type of a live property is fixed, that of a deleted one is not', () => {
    expect(only(twinOf({ p: property({ type: 'int' }) }), patch({ type: 'string', actual: '7' }))).toMatchObject({
      type: 'int',
    });
    expect(
      only(twinOf({ p: property({ type: 'int', removed: true }) }), patch({ type: 'boolean', actual: 'true' })),
    ).toMatchObject({
      type: 'boolean',
      removed: false,
    });
  });

  test('a declared property that was deleted comes back with the type of its model', () => {
    const twin = twinOf({ p: property({ type: 'int', removed: true, declared: true, reported: true }) });
    expect(only(twin, patch({ type: 'string', actual: '7' }))).toMatchObject({
      type: 'int',
      declared: true,
      reported: true,
      removed: false,
    });
  });

  test('optional goes from true to false and never back', () => {
    const fixed = only(twinOf({ p: property() }), patch({ optional: false }));
    expect(fixed).toMatchObject({ optional: false });
    expect(accepted(twinOf({ p: property({ optional: false }) }), { p: patch({ optional: true }) }).changes).toEqual(
      [],
    );
  });

  test('an empty patch of a live property changes nothing', () => {
    expect(accepted(twinOf({ p: property() }), { p: patch() }).changes).toEqual([]);
  });

  test('names that the Device declares may hold what clients may not', () => {
    const twin = twinOf({ 'room temperature': property({ declared: true }) });
    expect(accepted(twin, { 'room temperature': patch({ actual: '1' }) }).changes).toHaveLength(1);
  });
});

describe('a deletion', () => {
  test.each<[string, TwinPatch]>([
    ['null', patch({ remove: true })],
    ['type deleted', patch({ type: 'deleted' })],
  ])('by %s keeps versions and hides the rest', (_what, deletion) => {
    const live = property({ actual: value('7'), expected: value('8'), actualVersion: { cloud: 0, edge: 3 } });
    expect(only(twinOf({ p: live }), deletion)).toEqual(
      property({ removed: true, actualVersion: { cloud: 0, edge: 4 }, expectedVersion: { cloud: 0, edge: 1 } }),
    );
  });

  test.each([
    ['one that is not optional', property({ optional: false })],
    ['one that is deleted', property({ removed: true })],
  ])('of %s does nothing', (_what, last) => {
    expect(accepted(twinOf({ p: last }), { p: patch({ remove: true }) }).changes).toEqual([]);
  });

  test('of an unknown one does nothing', () => {
    expect(accepted(twinOf(), { p: patch({ remove: true }) }).changes).toEqual([]);
  });
});

describe('refusals', () => {
  const typed = twinOf({
    i: property({ type: 'int' }),
    f: property({ type: 'float' }),
    b: property({ type: 'boolean' }),
  });
  test.each<[string, Record<string, TwinPatch>, number]>([
    ['an int that is none', { i: patch({ actual: '1.5' }) }, 400],
    ['an expected value that does not fit, though there was none before', { i: patch({ expected: 'x' }) }, 400],
    ['a float that is none', { f: patch({ actual: 'warm' }) }, 400],
    ['a boolean that is none', { b: patch({ actual: 'TRUE' }) }, 400],
    ['an unknown type', { n: patch({ type: 'colour' }) }, 400],
    ['a bad name', { 'a b': patch({ actual: '1' }) }, 400],
    ['an empty name', { '': patch({ actual: '1' }) }, 400],
    ['a value beyond 32 KiB, in bytes', { s: patch({ actual: 'ä'.repeat(16 * 1024 + 1) }) }, 413],
    [
      'more properties than a device has',
      Object.fromEntries(Array.from({ length: 1_001 }, (_, n) => [`n${n}`, patch({ actual: '1' })])),
      413,
    ],
  ])('%s', (_what, patches, code) => expect(decide(typed, patches)).toMatchObject({ kind: 'refused', code }));

  test('one bad property refuses the whole update', () => {
    expect(decide(typed, { s: patch({ actual: '1' }), i: patch({ actual: 'x' }) })).toMatchObject({ kind: 'refused' });
  });

  test('values of one device are bounded together', () => {
    const full = twinOf(
      Object.fromEntries(
        Array.from({ length: 16 }, (_, n) => [`p${n}`, property({ actual: value('x'.repeat(32 * 1024)) })]),
      ),
    );
    expect(full.valueBytes).toBe(LIMITS.deviceBytes);
    expect(decide(full, { more: patch({ actual: 'y' }) })).toMatchObject({ kind: 'refused', code: 413 });
    expect(decide(full, { p0: patch({ actual: 'y' }) })).toMatchObject({ kind: 'accepted' });
  });

  test('deleted properties of clients make room for new ones, declared ones do not', () => {
    const many = (declared: boolean) =>
      twinOf(
        Object.fromEntries(
          Array.from({ length: 1_000 }, (_, n) => [
            `p${n}`,
            property({ removed: n === 3, declared: declared && n === 3 }),
          ]),
        ),
      );
    expect(accepted(many(false), { x: patch({ actual: '1' }) }).forgotten.map(({ name }) => name)).toEqual(['p3']);
    expect(decide(many(true), { x: patch({ actual: '1' }) })).toMatchObject({ kind: 'refused', code: 413 });
  });
});
