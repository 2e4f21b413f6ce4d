import { describe, expect, test } from '@jest/globals';
import { createFrameScanner } from './frame-limit.js';

/** A packet of a type, its length in MQTT's encoding, and a body. */
function packet(bodyBytes: number): Buffer {
  const length: number[] = [];
  for (let left = bodyBytes; ; ) {
    const digit = left % 128;
    left = Math.floor(left / 128);
    length.push(left > 0 ? digit | 0x80 : digit);
    if (left === 0) break;
  }
  return Buffer.concat([Buffer.from([0x30, ...length]), Buffer.alloc(bodyBytes)]);
}

const inPieces = (bytes: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size));

describe('frame scanner', () => {
  test.each([1, 2, 3, 7, 100_000])('follows packets of every length in pieces of %d bytes', (size) => {
    const scanner = createFrameScanner(20_000);
    const stream = Buffer.concat([0, 1, 127, 128, 16_383, 16_384, 20_000, 0, 5].map(packet));
    expect(
      inPieces(stream, size)
        .map((piece) => scanner.scan(piece))
        .filter((bytes) => bytes !== undefined),
    ).toEqual([]);
    expect(scanner.scan(packet(20_001))).toBe(20_001);
  });

  test('tells of a large packet by its header, before its body', () => {
    expect(createFrameScanner(1_000).scan(packet(2_000_000).subarray(0, 5))).toBe(2_000_000);
  });

  test('a length of five bytes is malformed', () => {
    expect(createFrameScanner(1_000).scan(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]))).toBe(
      Number.POSITIVE_INFINITY,
    );
  });
});
