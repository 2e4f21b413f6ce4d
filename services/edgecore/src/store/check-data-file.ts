// Reads a data file of the durable store line by line before nedb does, because nedb drops what it cannot parse without a word.
// Invariants: every line that is kept passed its checksum; a damaged file is copied aside before it is replaced by what could be read; a cut
// last line is no damage: nothing that was acknowledged ends without a newline.
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { systemCode } from '@skerry/common/errors';
import { quarantineCopy, syncFolder } from '../disk/files.js';
import { decodeLine } from './line-file.js';

export interface DataFileCheck {
  readonly existed: boolean;
  /** Damaged lines, the cut last one not counted. */
  readonly corrupt: number;
  /** Where the damaged file is kept. */
  readonly aside: string | undefined;
}

interface Line {
  readonly text: string;
  /** Ended by a newline: only the last line of a file may not be. */
  readonly whole: boolean;
}

const NEWLINE = 0x0a;

/** Repairs the file if that is needed. Throws what the disk throws. */
export async function checkDataFile(file: string, nowMs: number): Promise<DataFileCheck> {
  // nedb itself finishes a rewrite that was interrupted between its two names.
  if (!(await exists(file))) return { existed: await exists(`${file}~`), corrupt: 0, aside: undefined };
  let corrupt = 0;
  let torn = false;
  for await (const line of linesOf(file)) {
    if (!line.whole) torn = true;
    else if (!isIntact(line.text)) corrupt += 1;
  }
  const aside = corrupt > 0 ? await quarantineCopy(file, nowMs) : undefined;
  if (corrupt > 0 || torn) await keepIntactLines(file);
  return { existed: true, corrupt, aside };
}

async function keepIntactLines(file: string): Promise<void> {
  const repaired = `${file}.repaired`;
  const intact = async function* (): AsyncGenerator<string> {
    for await (const { text, whole } of linesOf(file)) if (whole && isIntact(text)) yield `${text}\n`;
  };
  await rm(repaired, { force: true });
  await pipeline(intact, createWriteStream(repaired, { mode: 0o600, flush: true }));
  await rename(repaired, file);
  await syncFolder(dirname(file));
}

async function* linesOf(file: string): AsyncGenerator<Line> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE, start)) {
      yield { text: rest.toString('utf8', start, end), whole: true };
      start = end + 1;
    }
    rest = rest.subarray(start);
  }
  if (rest.length > 0) yield { text: rest.toString('utf8'), whole: false };
}

function isIntact(line: string): boolean {
  try {
    decodeLine(line);
    return true;
  } catch {
    return false;
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}
