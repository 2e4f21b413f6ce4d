// Records under damage: read as written or not at all.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeRecord, encodeRecord, HEADER_BYTES, scanSegment } from './record.js';

const MAX = 1_000;
const payloads = fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 20 });
const segmentOf = (list: readonly Uint8Array[]): Buffer =>
  Buffer.concat(list.map((payload, i) => encodeRecord({ n: BigInt(i + 5), timeMs: 1_000 + i, payload })));

describe('records', () => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 63n }), fc.uint8Array({ maxLength: 100 }), (n, payload) => {
        const decoded = decodeRecord(encodeRecord({ n, timeMs: 7, payload }), 0, MAX);
        expect(decoded).toMatchObject({ kind: 'record', bytes: HEADER_BYTES + payload.length });
        expect(decoded.kind === 'record' && decoded.record.n).toBe(n);
        expect(decoded.kind === 'record' && Buffer.from(decoded.record.payload).equals(payload)).toBe(true);
      }),
    );
  });

  test('a segment cut anywhere keeps exactly the whole records before the cut', () => {
    fc.assert(
      fc.property(payloads, fc.nat(), (list, at) => {
        const whole = segmentOf(list);
        const cut = at % (whole.length + 1);
        const scan = scanSegment(whole.subarray(0, cut), 5n, MAX);
        let kept = 0;
        let bytes = 0;
        for (const payload of list) {
          if (bytes + HEADER_BYTES + payload.length > cut) break;
          bytes += HEADER_BYTES + payload.length;
          kept += 1;
        }
        expect(scan).toMatchObject({ goodBytes: bytes, last: kept === 0 ? undefined : BigInt(kept + 4) });
        expect(scan.end).toBe(bytes === cut ? 'whole' : 'torn');
      }),
    );
  });

  test('a flipped bit loses no record before it, keeps none that it hit, and the loss is bounded', () => {
    fc.assert(
      fc.property(payloads, fc.nat(), fc.nat({ max: 7 }), (list, at, bit) => {
        const content = segmentOf(list);
        const where = at % content.length;
        content[where] = (content[where] ?? 0) ^ (1 << bit);
        const scan = scanSegment(content, 5n, MAX);
        expect(scan.end).not.toBe('whole');
        expect(scan.goodBytes).toBeLessThanOrEqual(where);
        const last = scan.last ?? 4n;
        expect(last + scan.lostAtMost).toBeGreaterThanOrEqual(BigInt(list.length + 4));
      }),
    );
  });
});
