// Reads a data file of the durable store line by line before nedb does, because nedb drops what it cannot parse without a word.
// Invariants: every line that is kept passed its checksum; a damaged file is copied aside before it is replaced by what could be read; a cut
// last line is no damage: nothing that was acknowledged ends without a newline.
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { systemCode } from '@skerry/common/errors';
import { quarantineCopy, syncFolder } from '../disk/files.js';
import { isIntact } from './document.js';

export interface DataFileCheck {
  readonly existed: boolean;
  /** Damaged lines, the cut last one not counted. */
  readonly corrupt: number;
  /** Where the damaged file is kept. */
  readonly aside: string | undefined;
}

/** Repairs the file if that is needed. Throws what the disk throws. */
export async function checkDataFile(file: string, nowMs: number): Promise<DataFileCheck> {
  const ending = await lastByte(file);
  // nedb itself finishes a rewrite that was interrupted between its two names.
  if (ending === undefined)
    return { existed: (await lastByte(`${file}~`)) !== undefined, corrupt: 0, aside: undefined };
  let bad = 0;
  let lastIsBad = false;
  for await (const line of lines(file)) {
    lastIsBad = line !== '' && !isIntact(line);
    if (lastIsBad) bad += 1;
  }
  if (bad === 0) return { existed: true, corrupt: 0, aside: undefined };
  const corrupt = lastIsBad && ending !== '\n' ? bad - 1 : bad;
  const aside = corrupt > 0 ? await quarantineCopy(file, nowMs) : undefined;
  await keepIntactLines(file);
  return { existed: true, corrupt, aside };
}

function lines(file: string): AsyncIterable<string> {
  return createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY });
}

async function keepIntactLines(file: string): Promise<void> {
  const repaired = `${file}.repaired`;
  const intact = async function* (): AsyncGenerator<string> {
    for await (const line of lines(file)) if (isIntact(line)) yield `${line}\n`;
  };
  await rm(repaired, { force: true });
  await pipeline(intact, createWriteStream(repaired, { mode: 0o600, flush: true }));
  await rename(repaired, file);
  await syncFolder(dirname(file));
}

/** The last byte as text, '' for an empty file, undefined when there is none. */
async function lastByte(file: string): Promise<string | undefined> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      if (size === 0) return '';
      const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
      return buffer.toString('latin1');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
