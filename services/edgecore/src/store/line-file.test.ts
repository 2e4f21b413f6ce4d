// What is read out of the bytes that a crash left behind.
import { describe, expect, test } from '@jest/globals';
import { decodeLine, encodeLine, inspectFile } from './line-file.js';

const line = (n: number): string => `${encodeLine(JSON.stringify({ _id: `record:${n}`, value: `${n}\u2028` }))}\n`;
const three = [line(1), line(2), line(3)].join('');

describe('lines of a store', () => {
  test('come back as they were and hold no separator', () => {
    const json = JSON.stringify({ a: '\u2028\u2029\u0085' });
    const encoded = encodeLine(json);
    expect(encoded).not.toMatch(/[\u2028\u2029\u0085]/);
    expect(JSON.parse(decodeLine(encoded))).toEqual(JSON.parse(json));
    expect(() => decodeLine(encoded.replace('u2028', 'u2027'))).toThrow('wrong checksum');
  });

  test('a file is whole, empty or not, and tells its schema', () => {
    expect(inspectFile(Buffer.from(''))).toEqual({ kind: 'whole', schema: undefined });
    const schema = `${encodeLine('{"_id":"schema","version":7}')}\n`;
    expect(inspectFile(Buffer.from(three + schema))).toEqual({ kind: 'whole', schema: 7 });
  });

  test('cut anywhere in its last line, it is torn after the line before', () => {
    const goodBytes = Buffer.byteLength(line(1) + line(2));
    const whole = Buffer.from(three);
    for (let length = goodBytes + 1; length < whole.length; length++) {
      expect(inspectFile(whole.subarray(0, length))).toEqual({ kind: 'torn', goodBytes, schema: undefined });
    }
  });

  test('zeros after the last line, as a power cut leaves them, are a torn end', () => {
    const content = Buffer.concat([Buffer.from(three), Buffer.alloc(4_096)]);
    expect(inspectFile(content)).toMatchObject({ kind: 'torn', goodBytes: Buffer.byteLength(three) });
  });

  test('a changed byte before a good line is corruption', () => {
    const content = Buffer.from(three);
    content[Buffer.byteLength(line(1)) + 15] = 0x7e;
    expect(inspectFile(content)).toEqual({ kind: 'corrupt', badLines: 1 });
  });

  test('bytes that hold no good line are corruption', () => {
    expect(inspectFile(Buffer.from('garbage'))).toMatchObject({ kind: 'corrupt' });
    expect(inspectFile(Buffer.alloc(100))).toMatchObject({ kind: 'corrupt' });
  });
});
