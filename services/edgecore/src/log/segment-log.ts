// A bounded log on disk: appended in groups with one fdatasync each, read by number, the oldest segment dropped when it outgrows its bounds.
// Invariants: an entry that was acknowledged is on disk; numbers rise by one and are never used twice; what is missing in between shows as
// an explicit gap. The caller is the only opener: it holds the lock of the folder above.
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { Clock, Timer } from '@skerry/common/clock';
import { messageOf, SkerryError } from '@skerry/common/errors';
import type { LogItem, LogSource } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';
import { syncFolder } from '../disk/files.js';
import { createGroupCommit } from '../disk/group-commit.js';
import { encodeRecord, HEADER_BYTES } from './record.js';
import { openFolder, type Segment, segmentPath, writeCursor } from './segment-folder.js';
import { readSegment, type SegmentPosition } from './segment-reader.js';

const MAX_SEGMENT_BYTES = 4_194_304;
const MIN_SEGMENT_BYTES = 4_096;
const MAX_WAITING_BYTES = 2 * MAX_SEGMENT_BYTES;
const CURSOR_DELAY_MS = 10_000;

export interface SegmentLogOptions {
  readonly dir: string;
  readonly stream: string;
  /** Bound of all segments together; at least 8 KiB. */
  readonly maxBytes: number;
  /** Entries older than this are dropped with their segment. */
  readonly maxAgeMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface SegmentLogStats {
  /** Oldest number that can still be read; last + 1 when there is none. */
  readonly first: bigint;
  readonly last: bigint;
  readonly bytes: number;
  /** Entries that a bound dropped before they were done. */
  readonly dropped: bigint;
  readonly quarantined: number;
  readonly failedAppends: number;
}

export interface SegmentLog extends LogSource {
  /** Resolves with the number of the last entry once all are on disk. Throws `resource_exhausted` when too much waits. */
  append(payloads: readonly Uint8Array[]): Promise<bigint>;
  stats(): SegmentLogStats;
  close(): Promise<void>;
}

interface Append {
  readonly payloads: readonly Uint8Array[];
  readonly bytes: number;
  /** Number of its last entry, once it is written. */
  last: bigint;
}

export async function createSegmentLog(options: SegmentLogOptions): Promise<SegmentLog> {
  const { dir, stream, maxBytes, maxAgeMs, clock, logger } = options;
  const segmentBytes = Math.min(Math.max(Math.floor(maxBytes / 8), MIN_SEGMENT_BYTES), MAX_SEGMENT_BYTES);
  const maxPayload = segmentBytes - HEADER_BYTES;
  const found = await openFolder(dir, maxPayload, clock.nowMs(), logger);
  const { epoch, segments } = found;
  const steadyNow = steadyTime(clock, segments.at(-1)?.newestMs ?? 0);

  let nextN = found.nextN;
  let cursor = found.cursor;
  let cursorTimer: Timer | undefined;
  let cursorWrite = Promise.resolve();
  let current: FileHandle | undefined;
  let position: SegmentPosition | undefined;
  const groups = createGroupCommit({ write: writeOrSeal, take: fittingASegment });
  let waitingBytes = 0;
  let closed = false;
  let dropped = 0n;
  let failedAppends = 0;

  const totalBytes = (): number => segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const last = (): bigint => nextN - 1n;

  function append(payloads: readonly Uint8Array[]): Promise<bigint> {
    const bytes = payloads.reduce((sum, payload) => sum + payload.length + HEADER_BYTES, 0);
    if (closed) return Promise.reject(new SkerryError('unavailable', `log ${stream} is closed`));
    if (bytes > segmentBytes) {
      return Promise.reject(
        new SkerryError('invalid_argument', `one append to log ${stream} may have ${segmentBytes} bytes, not ${bytes}`),
      );
    }
    if (waitingBytes + bytes > MAX_WAITING_BYTES && waitingBytes > 0) {
      failedAppends += 1;
      return Promise.reject(new SkerryError('resource_exhausted', `log ${stream} is waiting for the disk: try again`));
    }
    if (payloads.length === 0) return Promise.resolve(last());
    const item: Append = { payloads, bytes, last: 0n };
    waitingBytes += bytes;
    return groups.add(item).then(() => item.last);
  }

  /** How many go together: one always fits. */
  function fittingASegment(waiting: readonly Append[]): number {
    let count = 0;
    let bytes = 0;
    for (const item of waiting) {
      if (bytes + item.bytes > segmentBytes) break;
      bytes += item.bytes;
      count += 1;
    }
    return count;
  }

  async function writeOrSeal(group: readonly Append[]): Promise<void> {
    waitingBytes -= group.reduce((sum, item) => sum + item.bytes, 0);
    try {
      await writeGroup(group);
    } catch (error) {
      failedAppends += group.length;
      await sealAfterFailure(error);
      throw new SkerryError('unavailable', `log ${stream} could not be written: ${messageOf(error)}`, { cause: error });
    }
  }

  async function writeGroup(group: readonly Append[]): Promise<void> {
    const first = nextN;
    const timeMs = steadyNow();
    const records = group
      .flatMap((item) => item.payloads)
      .map((payload) => encodeRecord({ n: nextN++, timeMs, payload }));
    const bytes = group.reduce((sum, item) => sum + item.bytes, 0);
    const segment = await segmentFor(first, bytes);
    current ??= await open(segment.path, 'r+');
    await writeAll(current, records, segment.bytes);
    await current.datasync();
    segment.bytes += bytes;
    segment.last = first + BigInt(records.length) - 1n;
    segment.newestMs = timeMs;
    let n = first - 1n;
    for (const item of group) {
      n += BigInt(item.payloads.length);
      item.last = n;
    }
  }

  /** The segment that takes `bytes` more, after making room for them. */
  async function segmentFor(first: bigint, bytes: number): Promise<Segment> {
    await enforceBounds(bytes);
    const newest = segments.at(-1);
    if (newest && (newest.bytes === 0 || newest.bytes + bytes <= segmentBytes) && newest.last === first - 1n)
      return newest;
    await closeCurrent();
    const segment: Segment = { path: segmentPath(dir, first), first, last: first - 1n, bytes: 0, newestMs: 0 };
    await (await open(segment.path, 'w', 0o600)).close();
    await syncFolder(dir);
    segments.push(segment);
    return segment;
  }

  /** After an error nobody knows what the file holds past its good end: later entries go to a new one, the lost numbers are a gap. */
  async function sealAfterFailure(error: unknown): Promise<void> {
    logger.error('append to a log failed', { stream, error: messageOf(error) });
    await closeCurrent().catch(() => {});
  }

  async function enforceBounds(incoming: number): Promise<void> {
    for (let oldest = segments[0]; oldest !== undefined; oldest = segments[0]) {
      const tooOld = oldest.bytes > 0 && steadyNow() - oldest.newestMs > maxAgeMs;
      const tooMuch = totalBytes() + incoming > maxBytes;
      if (!tooOld && !tooMuch) return;
      await dropOldest(oldest, tooOld ? 'age' : 'size');
    }
  }

  async function dropOldest(oldest: Segment, bound: string): Promise<void> {
    segments.shift();
    if (segments.length === 0) await closeCurrent();
    const notDone = oldest.last - (cursor >= oldest.first ? cursor : oldest.first - 1n);
    if (notDone > 0n) {
      dropped += notDone;
      logger.warn('a log dropped entries that were not delivered', { stream, bound, entries: notDone, dropped });
    }
    await rm(oldest.path, { force: true });
  }

  async function read(after: bigint, maxReadBytes: number): Promise<readonly LogItem[]> {
    // The bounds are moved by appends only while entries flow; a silent log ages when it is looked at.
    if (!groups.busy()) await enforceBounds(0);
    const items: LogItem[] = [];
    let room = maxReadBytes;
    let expected = after + 1n;
    for (const segment of segments.filter(({ last: end }) => end >= expected)) {
      const from = position?.path === segment.path && position.n <= expected ? position : undefined;
      const part = await readSegment(segment, {
        from,
        after: expected - 1n,
        maxBytes: room,
        isFirst: items.length === 0,
        maxPayload,
      });
      for (const { n, payload } of part.records) {
        items.push({ n, payload, gapFrom: n === expected ? 0n : expected });
        expected = n + 1n;
      }
      room -= part.bytes;
      position = part.position;
      if (part.damaged) logger.error('a segment of a log cannot be read to its end', { stream, path: segment.path });
      if (part.full) break;
    }
    return items;
  }

  function doneThrough(n: bigint): void {
    // The consumer knows numbers that this disk lost: they are not used again.
    if (n >= nextN) nextN = n + 1n;
    if (n <= cursor) return;
    cursor = n;
    if (closed) return;
    cursorTimer ??= clock.after(CURSOR_DELAY_MS, () => {
      cursorTimer = undefined;
      keepCursor();
    });
  }

  function keepCursor(): void {
    cursorWrite = cursorWrite.then(() =>
      writeCursor(dir, epoch, cursor).catch((error: unknown) =>
        logger.warn('the cursor of a log could not be kept', { stream, error: messageOf(error) }),
      ),
    );
  }

  async function closeCurrent(): Promise<void> {
    const handle = current;
    current = undefined;
    await handle?.close();
  }

  async function close(): Promise<void> {
    closed = true;
    cursorTimer?.cancel();
    await groups.idle();
    if (cursor > found.cursor) keepCursor();
    await cursorWrite;
    await closeCurrent();
  }

  await enforceBounds(0);
  return {
    stream,
    epoch,
    append,
    read,
    doneThrough,
    cursor: () => cursor,
    stats: () => ({
      first: segments[0]?.first ?? nextN,
      last: last(),
      bytes: totalBytes(),
      dropped,
      quarantined: found.quarantined,
      failedAppends,
    }),
    close,
  };
}

/** Wall-clock time that never goes back: from the newest entry or now, whichever is later, on with the monotonic clock. */
function steadyTime(clock: Clock, newestMs: number): () => number {
  const startMs = Math.max(clock.nowMs(), newestMs);
  const originMs = clock.monotonicMs();
  return () => startMs + clock.monotonicMs() - originMs;
}

async function writeAll(handle: FileHandle, records: readonly Buffer[], position: number): Promise<void> {
  const data = records.length === 1 && records[0] ? records[0] : Buffer.concat(records);
  for (let written = 0; written < data.length; ) {
    const { bytesWritten } = await handle.write(data, written, data.length - written, position + written);
    if (bytesWritten === 0) throw new SkerryError('resource_exhausted', 'the disk took nothing');
    written += bytesWritten;
  }
}
