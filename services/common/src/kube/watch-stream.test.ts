import { describe, expect, test } from '@jest/globals';
import { linesOf, watchEventsOf } from './watch-stream.js';

async function* chunksOf(...chunks: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of source) all.push(item);
  return all;
}

describe('watch stream', () => {
  test('lines are found however the bytes are cut, also inside a character', async () => {
    const bytes = Buffer.from('{"a":"ü"}\n\n{"b":"€"}\r\n');
    for (let size = 1; size <= bytes.length; size++) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      expect(await collect(linesOf(chunksOf(...chunks), 100))).toEqual(['{"a":"ü"}', '{"b":"€"}']);
    }
  });

  test('an unfinished last line is dropped', async () => {
    expect(await collect(linesOf(chunksOf('one\n', 'tw'), 100))).toEqual(['one']);
  });

  test('a line over the bound is an error, finished or not', async () => {
    await expect(collect(linesOf(chunksOf('x'.repeat(8), 'x'.repeat(3)), 10))).rejects.toMatchObject({
      code: 'data_loss',
    });
    await expect(collect(linesOf(chunksOf(`${'x'.repeat(11)}\n`), 10))).rejects.toMatchObject({ code: 'data_loss' });
    expect(await collect(linesOf(chunksOf(`${'x'.repeat(10)}\n`), 10))).toHaveLength(1);
  });

  test.each(['garbage', '[]', '{"type":"ADDED"}', '{"type":"NEWS","object":{}}', '{"type":"ADDED","object":null}'])(
    '%s is no event',
    async (line) => {
      await expect(collect(watchEventsOf(chunksOf(`${line}\n`)))).rejects.toMatchObject({ code: 'data_loss' });
    },
  );

  test('events are parsed', async () => {
    const event = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '7' } } };
    expect(await collect(watchEventsOf(chunksOf(`${JSON.stringify(event)}\n`)))).toEqual([event]);
  });
});
