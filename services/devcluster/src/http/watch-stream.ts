// One watch: a position in the history of a collection, written to a response as fast as the client takes it.
// Invariants: nothing is kept for a slow client beyond one chunk; one that the history's bound has overtaken is told 410 and closed.
import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '@skerry/common/clock';
import type { JsonObject } from '../api/objects.js';
import { type ApiError, expired } from '../api/status.js';
import { type Filter, tooLarge } from '../operations/read.js';
import { apiVersionOf } from '../registry/types.js';
import type { Change, StoredObject } from '../storage/changes.js';
import type { Store } from '../storage/store.js';
import { renderObject, type View } from './respond.js';

export interface WatchQuery {
  readonly namespace: string;
  readonly filter: Filter;
  /** Undefined or 0: begin with what there is now. */
  readonly revision: number | undefined;
  readonly bookmarks: boolean;
  /** Begin with what there is now, then a bookmark that says so. */
  readonly sendInitialEvents: boolean;
  readonly timeoutMs: number;
}

export interface WatchStream {
  readonly collection: string;
  /** Answers the request and writes what is due. Once. */
  start(): void;
  /** Looks for new changes. */
  wake(): void;
  /** Ends the response; harmless when it has ended. */
  end(): void;
}

export interface WatchStreamOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly response: ServerResponse;
  /** Made anew for each event: ages in tables are those of now. */
  readonly view: () => View;
  readonly query: WatchQuery;
  readonly onOvertaken: () => void;
  /** Called once, however it ends. */
  readonly onEnd: () => void;
}

const BOOKMARK_MS = 60_000;
/** Events are written together up to this size. */
const CHUNK_CHARS = 64 * 1024;

export function createWatchStream(options: WatchStreamOptions): WatchStream {
  const { store, clock, response, view, query } = options;
  const { type } = view();
  const history = store.history(type.collection);
  const output = createEventWriter(response);
  let position = history.end();
  let timeout: Timer | undefined;
  let nextBookmark: Timer | undefined;
  let ended = false;

  const isCurrent = (): boolean => history.end() === position;

  function bookmark(annotations?: JsonObject): void {
    const revision = { resourceVersion: String(store.revision()), creationTimestamp: null };
    const metadata = annotations === undefined ? revision : { ...revision, annotations };
    output.write('BOOKMARK', JSON.stringify({ kind: type.kind, apiVersion: apiVersionOf(type), metadata }));
  }

  function armBookmark(): void {
    nextBookmark = clock.after(BOOKMARK_MS, () => {
      if (isCurrent() && !response.writableNeedDrain) {
        bookmark();
        output.flush();
      }
      armBookmark();
    });
  }

  /** Writes what there is now, or finds the position to go on from. Returns why it can not. */
  function begin(): ApiError | undefined {
    const { revision } = query;
    if (query.sendInitialEvents || revision === undefined || revision === 0) {
      for (const stored of store.list(type.collection)) {
        if (isShown(query, stored)) output.write('ADDED', renderObject(view(), stored));
      }
      if (query.sendInitialEvents) bookmark({ 'k8s.io/initial-events-end': 'true' });
      return undefined;
    }
    if (revision > store.revision()) return tooLarge(revision, store);
    const start = history.positionAfter(revision);
    if (start === undefined) return expired(`too old resource version: ${revision} (${store.revision()})`);
    position = start;
    return undefined;
  }

  function wake(): void {
    if (ended) return;
    for (let change = history.read(position); change !== undefined; change = history.read(position)) {
      if (change === 'dropped') {
        overtaken();
        return;
      }
      if (response.writableNeedDrain) return;
      position += 1;
      writeChange(change);
    }
    output.flush();
  }

  function overtaken(): void {
    options.onOvertaken();
    // A client that takes nothing at all would not take the message either.
    if (response.writableNeedDrain) response.destroy();
    else fail(expired(`too old resource version: the watch fell behind (${store.revision()})`));
  }

  function writeChange(change: Change): void {
    const before = change.previous !== undefined && isShown(query, change.previous);
    const after = change.type !== 'DELETED' && isShown(query, change.current);
    if (after) output.write(before ? 'MODIFIED' : 'ADDED', renderObject(view(), change.current));
    else if (before) output.write('DELETED', renderObject(view(), lastShown(change)));
  }

  function fail(error: ApiError): void {
    output.write('ERROR', JSON.stringify(error.toStatus()));
    end();
  }

  function end(): void {
    if (ended) return;
    output.flush();
    response.end();
    forget();
  }

  function forget(): void {
    if (ended) return;
    ended = true;
    response.off('drain', wake);
    timeout?.cancel();
    nextBookmark?.cancel();
    options.onEnd();
  }

  function timeIsUp(): void {
    if (query.bookmarks && isCurrent()) bookmark();
    end();
  }

  function start(): void {
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    response.flushHeaders();
    response.on('close', forget);
    response.on('drain', wake);
    const refused = begin();
    if (refused !== undefined) {
      fail(refused);
      return;
    }
    timeout = clock.after(query.timeoutMs, timeIsUp);
    if (query.bookmarks) armBookmark();
    wake();
  }

  return { collection: type.collection, start, wake, end };
}

interface EventWriter {
  write(kind: string, json: string): void;
  flush(): void;
}

/** Gathers events into chunks. */
function createEventWriter(response: ServerResponse): EventWriter {
  let chunk = '';
  const flush = (): void => {
    if (chunk !== '') response.write(chunk);
    chunk = '';
  };
  return {
    flush,
    write: (kind, json) => {
      chunk += `{"type":"${kind}","object":${json}}\n`;
      if (chunk.length >= CHUNK_CHARS) flush();
    },
  };
}

function isShown(query: WatchQuery, stored: StoredObject): boolean {
  return (query.namespace === '' || stored.key.namespace === query.namespace) && query.filter(stored);
}

/** An object that left the selection is shown as it was when it still matched, under the revision at which it left. */
function lastShown(change: Change): StoredObject {
  if (change.type !== 'MODIFIED') return change.current;
  const { key, revision } = change.current;
  const { object } = change.previous;
  const shown = { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
  return { key, revision, object: shown, json: JSON.stringify(shown) };
}
