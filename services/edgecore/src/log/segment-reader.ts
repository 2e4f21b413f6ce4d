// Reads entries out of one segment, up to a number of bytes, going on where the last read ended.
// Invariant: nothing past the segment's good end is looked at: an entry is seen only after it was acknowledged.
import { type FileHandle, open } from 'node:fs/promises';
import { systemCode } from '@skerry/common/errors';
import { decodeRecord, HEADER_BYTES, type LogRecord } from './record.js';
import type { Segment } from './segment-folder.js';

const CHUNK_BYTES = 65_536;

/** Where the record `n` begins. */
export interface SegmentPosition {
  readonly path: string;
  readonly n: bigint;
  readonly offset: number;
}

export interface ReadSegmentOptions {
  readonly from: SegmentPosition | undefined;
  /** Only numbers above it. */
  readonly after: bigint;
  readonly maxBytes: number;
  /** One record is given even when it is larger than `maxBytes`. */
  readonly isFirst: boolean;
  readonly maxPayload: number;
}

export interface SegmentPart {
  readonly records: readonly LogRecord[];
  /** Of the payloads. */
  readonly bytes: number;
  readonly position: SegmentPosition | undefined;
  /** `maxBytes` is used up. */
  readonly full: boolean;
  readonly damaged: boolean;
}

export async function readSegment(segment: Segment, options: ReadSegmentOptions): Promise<SegmentPart> {
  const end = segment.bytes;
  const nothing = { records: [], bytes: 0, position: undefined, full: false, damaged: false };
  const handle = await open(segment.path, 'r').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  // Dropped by a bound since the caller looked: the gap shows in the numbers that follow.
  if (!handle) return nothing;
  try {
    return await readRecords(handle, segment.path, end, options);
  } finally {
    await handle.close();
  }
}

async function readRecords(
  handle: FileHandle,
  path: string,
  end: number,
  { from, after, maxBytes, isFirst, maxPayload }: ReadSegmentOptions,
): Promise<SegmentPart> {
  const records: LogRecord[] = [];
  let bytes = 0;
  let offset = from?.offset ?? 0;
  let window: Buffer = Buffer.alloc(0);
  let inWindow = 0;
  const finish = (n: bigint | undefined, full: boolean, damaged: boolean): SegmentPart => {
    const position = n === undefined ? undefined : { path, n, offset };
    return { records, bytes, position, full, damaged };
  };
  while (offset < end) {
    const decoded = decodeRecord(window, inWindow, maxPayload);
    if (decoded.kind === 'bad') return finish(undefined, false, true);
    if (decoded.kind === 'short') {
      const wanted = Math.min(Math.max(decoded.bytes, CHUNK_BYTES), end - offset);
      if (wanted < Math.max(decoded.bytes, HEADER_BYTES)) return finish(undefined, false, true);
      window = await readBytes(handle, offset, wanted);
      inWindow = 0;
      if (window.length < wanted) return finish(undefined, false, true);
      continue;
    }
    const { record } = decoded;
    if (record.n > after) {
      const isRoom = bytes + record.payload.length <= maxBytes || (isFirst && records.length === 0);
      if (!isRoom) return finish(record.n, true, false);
      records.push(record);
      bytes += record.payload.length;
    }
    offset += decoded.bytes;
    inWindow += decoded.bytes;
  }
  const next = records.at(-1)?.n;
  return finish(next === undefined ? undefined : next + 1n, false, false);
}

async function readBytes(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
