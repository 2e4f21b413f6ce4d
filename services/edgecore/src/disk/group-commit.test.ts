import { describe, expect, test } from '@jest/globals';
import { createGroupCommit } from './group-commit.js';

/** Writes end when told to. */
function slowDisk() {
  const groups: (readonly number[])[] = [];
  const ends: ((error?: Error) => void)[] = [];
  const write = (group: readonly number[]): Promise<void> => {
    groups.push(group);
    return new Promise((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve())));
  };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const end = async (error?: Error): Promise<void> => {
    ends.shift()?.(error);
    await turn();
  };
  return { groups, write, turn, end };
}

describe('group commit', () => {
  test('one turn is one group, and what comes during a write is the next', async () => {
    const { groups, write, turn, end } = slowDisk();
    const commits = createGroupCommit({ write });
    const done: number[] = [];
    const add = (n: number): void => void commits.add(n).then(() => done.push(n));
    for (const n of [1, 2]) add(n);
    await turn();
    for (const n of [3, 4]) add(n);
    await turn();
    expect({ groups, done }).toEqual({ groups: [[1, 2]], done: [] });
    await end();
    expect({ groups, done }).toEqual({
      groups: [
        [1, 2],
        [3, 4],
      ],
      done: [1, 2],
    });
    const idle = commits.idle();
    await end();
    await idle;
    expect({ done, busy: commits.busy() }).toEqual({ done: [1, 2, 3, 4], busy: false });
  });

  test('a failure is its own group’s, and the next one is tried', async () => {
    const { groups, write, turn, end } = slowDisk();
    const commits = createGroupCommit({ write });
    const first = commits.add(1).catch((error: unknown) => String(error));
    await turn();
    const second = commits.add(2);
    await end(new Error('disk full'));
    expect(await first).toBe('Error: disk full');
    await end();
    await second;
    expect(groups).toEqual([[1], [2]]);
  });

  test('a group may be smaller than what waits', async () => {
    const groups: (readonly number[])[] = [];
    const commits = createGroupCommit<number>({
      write: async (group) => void groups.push(group),
      take: (waiting) => Math.min(waiting.length, 2),
    });
    await Promise.all([1, 2, 3].map((n) => commits.add(n)));
    expect(groups).toEqual([[1, 2], [3]]);
  });
});
