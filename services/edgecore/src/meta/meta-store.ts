// The meta store over any backend: all entries in memory, every change through group commit.
// Invariant: memory changes only after the backend wrote, so readers never see what a crash could take back.
import type { Clock } from '@skerry/common/clock';
import { messageOf, SkerryError } from '@skerry/common/errors';
import type { Entry } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';
import { createGroupCommit } from '../disk/group-commit.js';
import type { Change, Document, DocumentBackend, EntryListener, MetaStats, MetaStore, Origin, Space } from './types.js';

/** Changes that may wait for the disk. */
const MAX_WAITING = 16_384;

export interface MetaStoreOptions {
  readonly backend: DocumentBackend;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface OpenedMetaStore extends MetaStore {
  readonly origin: Origin;
}

/** Opens the backend and reads everything. Throws what `DocumentBackend.open` throws. */
export async function openMetaStore(options: MetaStoreOptions): Promise<OpenedMetaStore> {
  const { backend, logger, clock } = options;
  const startedMs = clock.monotonicMs();
  const loaded = await backend.open();
  const spaces: Record<Space, Map<string, Entry>> = { desired: new Map(), outbox: new Map() };
  const records = new Map<string, string>();
  for (const document of loaded.documents) applyDocument(document, spaces, records);
  logger.info('meta store opened', {
    origin: loaded.origin,
    desired: spaces.desired.size,
    outbox: spaces.outbox.size,
    ms: Math.round(clock.monotonicMs() - startedMs),
  });

  const listeners = new Set<EntryListener>();
  const counters = { commits: 0, groups: 0, failedCommits: 0 };
  const groups = createGroupCommit({ write: writeGroup });
  let waitingChanges = 0;
  let closed = false;

  function commit(changes: readonly Change[]): Promise<void> {
    if (closed) return Promise.reject(new SkerryError('unavailable', 'the meta store is closed'));
    if (waitingChanges + changes.length > MAX_WAITING) {
      counters.failedCommits += 1;
      return Promise.reject(
        new SkerryError('resource_exhausted', `${waitingChanges} changes already wait for the disk: try again later`),
      );
    }
    waitingChanges += changes.length;
    return groups.add(changes);
  }

  async function writeGroup(group: ReadonlyArray<readonly Change[]>): Promise<void> {
    waitingChanges = 0;
    const changes = group.flat();
    try {
      await backend.write(newestPerDocument(changes));
    } catch (error) {
      counters.failedCommits += group.length;
      logger.error('meta store write failed', { changes: changes.length, error: messageOf(error) });
      throw new SkerryError('unavailable', `the meta store could not write: ${messageOf(error)}`, { cause: error });
    }
    counters.groups += 1;
    counters.commits += group.length;
    for (const change of changes) apply(change);
  }

  function apply(change: Change): void {
    applyDocument(documentOf(change), spaces, records);
    if (change.kind === 'record') return;
    const entry = change.kind === 'put' ? change.entry : undefined;
    for (const listener of listeners) listener(change.space, change.key, entry);
  }

  return {
    origin: loaded.origin,
    get: (space, key) => spaces[space].get(key),
    entries: (space) => spaces[space],
    record: (name) => records.get(name),
    commit,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    stats: (): MetaStats => ({ ...counters, entries: spaces.desired.size, quarantined: loaded.quarantined }),
    async close() {
      closed = true;
      await groups.idle();
      await backend.close();
    },
  };
}

/** A document per id, the last change of each, in the order in which those came. */
function newestPerDocument(changes: readonly Change[]): Document[] {
  const newest = new Map<string, Document>();
  for (const change of changes) {
    const document = documentOf(change);
    newest.delete(document.id);
    newest.set(document.id, document);
  }
  return [...newest.values()];
}

function documentOf(change: Change): Document {
  switch (change.kind) {
    case 'put':
      return { id: `${change.space}:${change.key}`, body: { kind: 'entry', entry: change.entry } };
    case 'delete':
      return { id: `${change.space}:${change.key}`, body: undefined };
    case 'record': {
      const body = change.value === undefined ? undefined : { kind: 'record' as const, value: change.value };
      return { id: `record:${change.name}`, body };
    }
  }
}

function applyDocument(
  document: Document,
  spaces: Record<Space, Map<string, Entry>>,
  records: Map<string, string>,
): void {
  const colon = document.id.indexOf(':');
  const place = document.id.slice(0, colon);
  const name = document.id.slice(colon + 1);
  if (place === 'record') {
    if (document.body?.kind === 'record') records.set(name, document.body.value);
    else records.delete(name);
  } else if (place === 'desired' || place === 'outbox') {
    if (document.body?.kind === 'entry') spaces[place].set(name, document.body.entry);
    else spaces[place].delete(name);
  }
}
