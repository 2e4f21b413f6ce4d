// Documents in a nedb file. nedb keeps them in memory and appends; this file adds what it lacks: fsync before anything is acknowledged,
// checksums, a check before loading, quarantine, one opener, bounded growth.
// Invariants: after a failed write the file is rewritten from memory before the next one counts; after every rewrite (nedb renames a new
// file over the old one) the handle that is synced is opened anew.
import { type FileHandle, open, readFile, rm, stat, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '@skerry/common/clock';
import { isSkerryError, messageOf, SkerryError, systemCode } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';
import { acquireExclusive, type Exclusive } from '../disk/exclusive.js';
import { privateFolder, quarantine, quarantineCopy, syncFolder } from '../disk/files.js';
import { inspectFile, SCHEMA_ID } from '../store/line-file.js';
import { type NedbFile, nedbFile } from '../store/nedb-file.js';
import { decodeDocument, encodeDocument, type NedbDocument } from './nedb-document.js';
import { createSealer, loadStoreKey, type Sealer } from './seal.js';
import type { Document, DocumentBackend, Loaded, Origin } from './types.js';

/** Raised when documents change so that older software would misread them. */
const SCHEMA_VERSION = 1;
/** A file is rewritten when it is larger than this and than twice its size after the last rewrite. */
const COMPACT_AT_BYTES = 1_048_576;

export interface NedbBackendOptions {
  readonly file: string;
  /** Where the key for Secrets lies. */
  readonly keyFile: string;
  /** The socket whose holder may open the file. */
  readonly lockFile: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly compactAtBytes?: number;
}

export function createNedbBackend(options: NedbBackendOptions): DocumentBackend {
  const { file, clock, logger, compactAtBytes = COMPACT_AT_BYTES } = options;
  let lock: Exclusive | undefined;
  let sealer: Sealer | undefined;
  let database: NedbFile<NedbDocument> | undefined;
  let handle: FileHandle | undefined;
  let sizeAfterRewrite = 0;
  let damaged = false;

  async function openStore(): Promise<Loaded> {
    await privateFolder(dirname(file));
    lock = await acquireExclusive(options.lockFile);
    try {
      return await load();
    } catch (error) {
      await close();
      throw explain(error, file);
    }
  }

  async function load(): Promise<Loaded> {
    sealer = createSealer(await loadStoreKey(options.keyFile, clock.nowMs()));
    let origin = await prepareFile(file, clock, logger);
    let documents = await readDocuments(sealer);
    if (documents === undefined) {
      logger.error('the store cannot be decrypted and is set aside', { file });
      await quarantine(file, clock.nowMs());
      origin = 'quarantined';
      documents = (await readDocuments(sealer)) ?? [];
    }
    await database?.update({ _id: SCHEMA_ID }, { _id: SCHEMA_ID, version: SCHEMA_VERSION }, { upsert: true });
    await reopenHandle();
    await handle?.datasync();
    await syncFolder(dirname(file));
    return { documents, origin, quarantined: origin === 'torn' || origin === 'quarantined' ? 1 : 0 };
  }

  /** Undefined when a document cannot be decoded. */
  async function readDocuments(opener: Sealer): Promise<Document[] | undefined> {
    database = nedbFile<NedbDocument>(file);
    await database.load();
    const found = await database.find({});
    try {
      return found.filter(({ _id }) => _id !== SCHEMA_ID).map((document) => decodeDocument(document, opener));
    } catch (error) {
      if (isSkerryError(error, 'data_loss')) return undefined;
      throw error;
    }
  }

  async function write(documents: readonly Document[]): Promise<void> {
    if (!database || !sealer) throw new SkerryError('failed_precondition', 'the store is not open');
    if (damaged) await rewrite();
    damaged = true;
    for (const { id, body } of documents) {
      if (body) await database.update({ _id: id }, encodeDocument({ id, body }, sealer), { upsert: true });
      else await database.remove({ _id: id }, {});
    }
    await handle?.datasync();
    damaged = false;
    await boundGrowth();
  }

  /** What was written is on disk by now: a rewrite that fails is repeated before the next write, not reported for this one. */
  async function boundGrowth(): Promise<void> {
    try {
      const { size } = await stat(file);
      if (size > Math.max(compactAtBytes, 2 * sizeAfterRewrite)) await rewrite();
    } catch (error) {
      damaged = true;
      logger.warn('the store could not be compacted', { file, error: messageOf(error) });
    }
  }

  /** nedb reports a rewrite as done without looking: look. */
  async function rewrite(): Promise<void> {
    damaged = true;
    await database?.compactDatafileAsync();
    const state = inspectFile(await readFile(file));
    if (state.kind !== 'whole') throw new SkerryError('data_loss', `${file} is not whole after it was rewritten`);
    await reopenHandle();
    damaged = false;
  }

  async function reopenHandle(): Promise<void> {
    await handle?.close();
    handle = undefined;
    handle = await open(file, 'r+');
    sizeAfterRewrite = (await handle.stat()).size;
  }

  async function close(): Promise<void> {
    await handle?.close();
    handle = undefined;
    database = undefined;
    await lock?.release();
    lock = undefined;
  }

  return { open: openStore, write, close };
}

/** Brings the file into a state that nedb loads without loss, and tells what happened to it. */
async function prepareFile(file: string, clock: Clock, logger: Logger): Promise<Origin> {
  // The unfinished rewrite of a killed process; nedb would take it for the store if the store were missing.
  await rm(`${file}~`, { force: true });
  const content = await readFile(file).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (content === undefined) return 'new';
  const state = inspectFile(content);
  if (state.kind === 'corrupt') {
    const aside = await quarantine(file, clock.nowMs());
    logger.error('the store is corrupt and set aside; it starts empty', { file, aside, badLines: state.badLines });
    return 'quarantined';
  }
  if ((state.schema ?? 0) > SCHEMA_VERSION) {
    throw new SkerryError(
      'failed_precondition',
      `${file} was written by newer software (schema ${state.schema}, this one knows ${SCHEMA_VERSION}): start that software, or use another state folder`,
    );
  }
  if (state.kind === 'torn') {
    const aside = await quarantineCopy(file, clock.nowMs());
    await truncate(file, state.goodBytes);
    logger.warn('the end of the store was torn and is cut off', { file, aside, goodBytes: state.goodBytes });
    return 'torn';
  }
  return content.length === 0 ? 'new' : 'kept';
}

function explain(error: unknown, file: string): unknown {
  if (isSkerryError(error)) return error;
  return new SkerryError('unavailable', `cannot open the store ${file}: ${messageOf(error)}`, { cause: error });
}
