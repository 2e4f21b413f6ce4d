// The short way of the codec against the generated code: same bytes, same messages, and whatever is not usual is left to the latter.
import { describe, expect, test } from '@jest/globals';
import { Frame } from '@skerry/gen/skerry/link/v1/link';
import fc from 'fast-check';
import { createFrameCodec } from './frame-codec.js';

const text = fc.oneof(fc.string({ maxLength: 200 }), fc.string({ unit: 'grapheme', maxLength: 40 }));
const bytes = fc.uint8Array({ maxLength: 3_000 }).map((array) => Buffer.from(array));
const number = fc.oneof(fc.bigInt({ min: 0n, max: 300n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const uint32 = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 32 - 1 }));

const body = fc.oneof(
  fc.record({
    $case: fc.constant('put' as const),
    value: fc.record({
      key: text,
      version: text,
      payload: bytes,
      absent: fc.boolean(),
      references: fc.array(text, { maxLength: 5 }),
      shardEpoch: number,
      encoding: text,
    }),
  }),
  fc.record({
    $case: fc.constant('done' as const),
    value: fc.record({ key: text, version: text, outcome: fc.nat(4), code: text, reason: text }),
  }),
  fc.record({ $case: fc.constant('chunk' as const), value: fc.record({ data: bytes, last: fc.boolean() }) }),
  fc.record({ $case: fc.constant('credit' as const), value: fc.record({ bytes: uint32 }) }),
  fc.record({ $case: fc.constant('heartbeat' as const), value: fc.record({ uptimeMs: number }) }),
  fc.constant(undefined),
);
const frame: fc.Arbitrary<Frame> = fc.record({ seq: number, ack: number, lane: fc.nat(7), node: text, body });

describe('the frame codec', () => {
  const codec = createFrameCodec();

  test('encodes what the generated code encodes', () => {
    fc.assert(
      fc.property(frame, (value) => {
        expect(codec.encode(value).equals(Frame.encode(value).finish())).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('decodes what the generated code decodes', () => {
    fc.assert(
      fc.property(frame, (value) => {
        const encoded = Buffer.from(Frame.encode(value).finish());
        expect(codec.decode(encoded)).toEqual(Frame.decode(encoded));
      }),
      { numRuns: 500 },
    );
  });

  test('treats broken and foreign bytes as the generated code does', () => {
    const outcome = (decode: () => Frame): unknown => {
      try {
        return decode();
      } catch {
        return 'refused';
      }
    };
    fc.assert(
      fc.property(frame, fc.nat(200), fc.nat(255), (value, at, byte) => {
        const broken = Buffer.from(Frame.encode(value).finish());
        if (broken.length > 0) broken[at % broken.length] = byte;
        expect(outcome(() => codec.decode(broken))).toEqual(outcome(() => Frame.decode(broken)));
        const cut = broken.subarray(0, at % (broken.length + 1));
        expect(outcome(() => codec.decode(cut))).toEqual(outcome(() => Frame.decode(cut)));
      }),
      { numRuns: 1_000 },
    );
  });

  test('never writes again what it handed out', () => {
    const first = codec.encode({ seq: 1n, ack: 0n, lane: 2, node: 'n', body: undefined });
    const copy = Buffer.from(first);
    for (let i = 0; i < 5_000; i++)
      codec.encode({ seq: 2n, ack: 9n, lane: 3, node: 'm', body: { $case: 'credit', value: { bytes: i } } });
    expect(first.equals(copy)).toBe(true);
  });
});
