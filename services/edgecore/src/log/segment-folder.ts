// The files of a segment log: `epoch` (what its numbers are counted under), `cursor`, and segments named by their first number.
// Brings a folder that a crash or a bad disk left behind into a readable state; what cannot be read is set aside and becomes a gap.
import { randomUUID } from 'node:crypto';
import { readdir, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { SkerryError, systemCode } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';
import { privateFolder, quarantine, quarantineCopy, writeFileAtomic } from '../disk/files.js';
import { scanSegment } from './record.js';

const FORMAT = 1;
const SEGMENT = /^(\d{20})\.seg$/;

/** Everything up to `bytes` is good and on disk. */
export interface Segment {
  readonly path: string;
  readonly first: bigint;
  /** first - 1 when it holds nothing. */
  last: bigint;
  bytes: number;
  newestMs: number;
}

export interface FoundLog {
  readonly epoch: string;
  readonly cursor: bigint;
  readonly segments: Segment[];
  readonly nextN: bigint;
  readonly quarantined: number;
}

export function segmentPath(dir: string, first: bigint): string {
  return join(dir, `${first.toString().padStart(20, '0')}.seg`);
}

/** Reads and repairs a log's folder, making it when it is not there. Throws `failed_precondition` for a newer format. */
export async function openFolder(dir: string, maxPayload: number, nowMs: number, logger: Logger): Promise<FoundLog> {
  await privateFolder(dir);
  let epoch = await readEpoch(dir);
  let quarantined = 0;
  if (epoch === undefined) {
    if ((await segmentNames(dir)).length > 0) {
      logger.error('a log lost its epoch and is set aside; it starts empty', { dir });
      await quarantine(dir, nowMs);
      await privateFolder(dir);
      quarantined = 1;
    }
    epoch = randomUUID();
    await writeFileAtomic(join(dir, 'epoch'), JSON.stringify({ format: FORMAT, epoch }));
  }
  const names = await segmentNames(dir);
  const segments: Segment[] = [];
  let nextN = 1n;
  for (const name of names) {
    const isNewest = name === names.at(-1);
    const repaired = await repairSegment(join(dir, name), { isNewest, maxPayload, nowMs, logger });
    quarantined += repaired.quarantined;
    nextN = max(nextN, repaired.nextN);
    if (repaired.segment.bytes > 0) segments.push(repaired.segment);
    else await rm(repaired.segment.path, { force: true });
  }
  const cursor = await readCursor(dir, epoch);
  return { epoch, cursor, segments, nextN: max(nextN, cursor + 1n), quarantined };
}

export function writeCursor(dir: string, epoch: string, n: bigint): Promise<void> {
  return writeFileAtomic(join(dir, 'cursor'), JSON.stringify({ epoch, n: n.toString() }));
}

interface Repaired {
  readonly segment: Segment;
  readonly nextN: bigint;
  readonly quarantined: number;
}

/**
 * An unfinished write at the end of the newest segment was never acknowledged: it is cut off and its numbers are used again. Anything else
 * that cannot be read was: a copy is set aside and its numbers are skipped.
 */
async function repairSegment(
  path: string,
  context: { isNewest: boolean; maxPayload: number; nowMs: number; logger: Logger },
): Promise<Repaired> {
  const content = await readFile(path);
  const first = BigInt(SEGMENT.exec(path.slice(path.lastIndexOf('/') + 1))?.[1] ?? 0);
  const scan = scanSegment(content, first, context.maxPayload);
  const last = scan.last ?? first - 1n;
  const segment = { path, first, last, bytes: scan.goodBytes, newestMs: scan.newestMs };
  if (scan.end === 'whole') return { segment, nextN: last + 1n, quarantined: 0 };
  const torn = scan.end === 'torn' && context.isNewest;
  if (!torn) {
    const aside = await quarantineCopy(path, context.nowMs);
    context.logger.error('a segment of a log is damaged; a copy is set aside', { path, aside, after: last });
  }
  await truncate(path, scan.goodBytes);
  return { segment, nextN: last + 1n + (torn ? 0n : scan.lostAtMost), quarantined: torn ? 0 : 1 };
}

async function segmentNames(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => SEGMENT.test(name)).sort();
}

/** Undefined when there is none that can be read. */
async function readEpoch(dir: string): Promise<string | undefined> {
  const found = await readJson(join(dir, 'epoch'));
  const { format, epoch } = (found ?? {}) as { format?: unknown; epoch?: unknown };
  if (typeof format === 'number' && format > FORMAT) {
    throw new SkerryError(
      'failed_precondition',
      `the log ${dir} was written by newer software (format ${format}, this one knows ${FORMAT}): start that software, or use another state folder`,
    );
  }
  return format === FORMAT && typeof epoch === 'string' && epoch !== '' ? epoch : undefined;
}

/** A lost cursor costs a repetition that the consumer recognises. */
async function readCursor(dir: string, epoch: string): Promise<bigint> {
  const found = (await readJson(join(dir, 'cursor'))) as { epoch?: unknown; n?: unknown } | undefined;
  return found?.epoch === epoch && typeof found.n === 'string' && /^\d{1,20}$/.test(found.n) ? BigInt(found.n) : 0n;
}

/** Undefined when there is no such file or it holds no object. */
async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return '';
    throw error;
  });
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
