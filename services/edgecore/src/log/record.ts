// One entry in a segment: length, CRC-32, number, time, payload. Big endian.
// Invariant: a record is read as it was written or not at all; the checksum covers everything but itself.
import { crc32 } from 'node:zlib';

/** length u32, checksum u32, number u64, time u64. */
export const HEADER_BYTES = 24;

export interface LogRecord {
  readonly n: bigint;
  /** Of the log's own steady time, Unix milliseconds. */
  readonly timeMs: number;
  readonly payload: Uint8Array;
}

export function encodeRecord({ n, timeMs, payload }: LogRecord): Buffer {
  const record = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  record.writeUInt32BE(payload.length, 0);
  record.writeBigUInt64BE(n, 8);
  record.writeBigUInt64BE(BigInt(Math.max(Math.floor(timeMs), 0)), 16);
  record.set(payload, HEADER_BYTES);
  record.writeUInt32BE(checksum(record), 4);
  return record;
}

export type Decoded =
  | { readonly kind: 'record'; readonly record: LogRecord; readonly bytes: number }
  /** The bytes end inside the record: `bytes` are needed. */
  | { readonly kind: 'short'; readonly bytes: number }
  | { readonly kind: 'bad' };

/** Reads the record that begins at `offset`; its payload shares memory with `buffer`. */
export function decodeRecord(buffer: Buffer, offset: number, maxPayload: number): Decoded {
  if (buffer.length - offset < HEADER_BYTES) return { kind: 'short', bytes: HEADER_BYTES };
  const length = buffer.readUInt32BE(offset);
  if (length > maxPayload) return { kind: 'bad' };
  const bytes = HEADER_BYTES + length;
  if (buffer.length - offset < bytes) return { kind: 'short', bytes };
  const record = buffer.subarray(offset, offset + bytes);
  if (record.readUInt32BE(4) !== checksum(record)) return { kind: 'bad' };
  return {
    kind: 'record',
    bytes,
    record: {
      n: record.readBigUInt64BE(8),
      timeMs: Number(record.readBigUInt64BE(16)),
      payload: record.subarray(HEADER_BYTES),
    },
  };
}

export interface Scan {
  /** Number of the last good record; undefined when there is none. */
  readonly last: bigint | undefined;
  readonly newestMs: number;
  readonly goodBytes: number;
  /** `torn`: the rest is shorter than the record that begins it, as an unfinished write leaves it. */
  readonly end: 'whole' | 'torn' | 'damaged';
  /** How many records the rest may have held at most. */
  readonly lostAtMost: bigint;
}

/** Reads a whole segment whose first number is `first`. Numbers only rise inside a segment. */
export function scanSegment(content: Buffer, first: bigint, maxPayload: number): Scan {
  let offset = 0;
  let last: bigint | undefined;
  let newestMs = 0;
  const finish = (end: Scan['end']): Scan => ({
    last,
    newestMs,
    goodBytes: offset,
    end,
    lostAtMost: BigInt(Math.ceil((content.length - offset) / HEADER_BYTES)),
  });
  while (offset < content.length) {
    const decoded = decodeRecord(content, offset, maxPayload);
    if (decoded.kind === 'short') return finish('torn');
    if (decoded.kind === 'bad' || decoded.record.n < (last === undefined ? first : last + 1n)) return finish('damaged');
    last = decoded.record.n;
    newestMs = decoded.record.timeMs;
    offset += decoded.bytes;
  }
  return finish('whole');
}

function checksum(record: Buffer): number {
  return crc32(record.subarray(8), crc32(record.subarray(0, 4)));
}
