import { describe, expect, test } from '@jest/globals';
import { EdgeHello } from '@skerry/gen/skerry/link/v1/link';
import { createNodeMemory } from './node-memory.js';

describe('memory of nodes', () => {
  test('forgets who was not seen for longest, and then believes anything', () => {
    const memory = createNodeMemory(2);
    const hello = (generation: bigint) => EdgeHello.fromPartial({ generation, bootId: 'x' });
    memory.note('a', hello(5n));
    memory.note('b', hello(5n));
    memory.note('a', hello(6n));
    memory.note('c', hello(5n));
    expect(memory.judge('b', hello(1n)).kind).toBe('newest');
    expect(memory.judge('a', hello(6n)).kind).toBe('stale');
    expect(memory.judge('c', hello(5n)).kind).toBe('stale');
  });
});
