import { describe, expect, test } from '@jest/globals';
import { type Change, decodeLines, encodeChange, type ObjectKey, storedObject } from './changes.js';
import { createDraft } from './draft.js';
import { encodeFrame, readFrame } from './frames.js';
import { createHistory } from './history.js';
import { createState } from './state.js';

const key = (name: string): ObjectKey => ({ collection: 'pods', namespace: 'ns', name });
const object = (name: string, n = 0) => ({ metadata: { name, namespace: 'ns' }, n });

describe('frames', () => {
  const file = Buffer.concat([encodeFrame('first'), encodeFrame('zweites ä')]);

  test('are read back one after another', () => {
    const first = readFrame(file, 0);
    expect(first).toMatchObject({ kind: 'frame', payload: 'first' });
    const second = readFrame(file, first.kind === 'frame' ? first.end : 0);
    expect(second).toMatchObject({ kind: 'frame', payload: 'zweites ä', end: file.length });
    expect(readFrame(file, file.length)).toEqual({ kind: 'end' });
  });

  test('every cut of the last frame is a torn tail', () => {
    const start = encodeFrame('first').length;
    for (let end = start + 1; end < file.length; end++) {
      expect(readFrame(file.subarray(0, end), start).kind).toBe('torn');
    }
    expect(readFrame(Buffer.concat([file.subarray(0, start), Buffer.alloc(40)]), start).kind).toBe('torn');
  });

  test('a flipped bit before the end is damage, also in a length', () => {
    for (const position of [0, 4, 8, 13]) {
      const damaged = Buffer.from(file);
      damaged[position] = (damaged[position] ?? 0) ^ 0x40;
      expect(readFrame(damaged, 0).kind).toBe('corrupt');
    }
  });
});

test('changes survive encoding', () => {
  const added: Change = { type: 'ADDED', current: storedObject(key('a"b'), 7, object('a"b', 1)) };
  const removed: Change = { type: 'DELETED', current: storedObject(key('a'), 8, object('a')), previous: added.current };
  const [first, second] = decodeLines(`[${encodeChange(added)},${encodeChange(removed)}]`);
  expect(first).toEqual({ revision: 7, key: key('a"b'), object: added.current.object });
  expect(second).toEqual({ revision: 8, key: key('a'), object: null });
});

describe('drafts', () => {
  test('later transactions see earlier ones, failed ones leave nothing', () => {
    const state = createState();
    state.apply({ type: 'ADDED', current: storedObject(key('old'), 1, object('old')) });
    const draft = createDraft(state, 2);
    draft.run((tx) => tx.put(key('a'), object('a')), false);
    expect(() =>
      draft.run((tx) => {
        tx.put(key('b'), object('b'));
        tx.remove(key('old'));
        throw new Error('no');
      }, false),
    ).toThrow('no');
    draft.run((tx) => tx.put(key('dry'), object('dry')), true);
    const names = draft.run((tx) => tx.list('pods', 'ns').map((stored) => stored.key.name), false);
    expect(names).toEqual(['a', 'old']);
    draft.run((tx) => tx.remove(key('old')), false);
    expect(draft.changes.map(({ type, current }) => [type, current.key.name, current.revision])).toEqual([
      ['ADDED', 'a', 2],
      ['DELETED', 'old', 3],
    ]);
    expect(state.get(key('old'))).toBeDefined();
  });
});

describe('history', () => {
  const change = (revision: number, previous?: Change): Change => {
    const current = storedObject(key(`p${revision}`), revision, object(`p${revision}`));
    return previous === undefined
      ? { type: 'ADDED', current }
      : { type: 'MODIFIED', current, previous: previous.current };
  };

  test('a reader goes on from a revision, and is told when the bound overtook it', () => {
    let dropped = 0;
    const history = createHistory({ maxChanges: 3, maxBytes: 1_000_000 }, 0, () => {
      dropped += 1;
    });
    for (const revision of [2, 4, 6]) history.push(change(revision));
    const position = history.positionAfter(4) ?? -1;
    expect(history.read(position)).toMatchObject({ current: { revision: 6 } });
    expect(history.read(position + 1)).toBeUndefined();
    const early = history.positionAfter(0) ?? -1;
    history.push(change(8));
    expect(history.read(early)).toBe('dropped');
    expect(history.positionAfter(1)).toBeUndefined();
    expect(history.positionAfter(2)).toBe(1);
    expect(dropped).toBe(1);
  });

  test('bytes are bounded too, but the newest change stays', () => {
    const history = createHistory({ maxChanges: 100, maxBytes: 10 }, 0, () => {});
    history.push(change(1));
    history.push(change(2));
    expect(history.positionAfter(0)).toBeUndefined();
    expect(history.read(history.end() - 1)).toMatchObject({ current: { revision: 2 } });
  });

  test('rewind shows the collection as it was', () => {
    const history = createHistory({ maxChanges: 10, maxBytes: 1_000_000 }, 0, () => {});
    const a1 = storedObject(key('a'), 1, object('a', 1));
    const a2 = storedObject(key('a'), 2, object('a', 2));
    const b3 = storedObject(key('b'), 3, object('b'));
    const a4 = storedObject(key('a'), 4, object('a', 2));
    const changes: Change[] = [
      { type: 'ADDED', current: a1 },
      { type: 'MODIFIED', current: a2, previous: a1 },
      { type: 'ADDED', current: b3 },
      { type: 'DELETED', current: a4, previous: a2 },
    ];
    for (const item of changes) history.push(item);
    const at = (revision: number) => history.rewind([b3], revision);
    expect(at(4)).toEqual([b3]);
    expect(at(3)).toEqual([a2, b3]);
    expect(at(1)).toEqual([a1]);
    expect(at(0)).toEqual([]);
  });
});
