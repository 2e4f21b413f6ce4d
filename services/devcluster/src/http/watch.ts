// Watches: a position in the history of a collection, read as fast as the client takes it.
// Invariants: nothing is buffered for a slow client beyond one chunk; one that the history's bound has overtaken is told 410 and closed.
import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '@skerry/common/clock';
import type { JsonObject } from '../api/objects.js';
import { type ApiError, badRequest, expired } from '../api/status.js';
import { type Filter, parseRevision, tooLarge } from '../operations/read.js';
import { CRDS } from '../registry/crd.js';
import type { Registry } from '../registry/registry.js';
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

const BOOKMARK_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 45 * 60_000;
const MAX_TIMEOUT_MS = 24 * 3_600_000;
/** Events are written together up to this size. */
const CHUNK_CHARS = 64 * 1024;

export function parseWatchQuery(namespace: string, filter: Filter, query: URLSearchParams): WatchQuery {
  const seconds = query.get('timeoutSeconds') ?? '';
  if (!/^\d{0,9}$/.test(seconds)) throw badRequest(`timeoutSeconds: Invalid value: ${JSON.stringify(seconds)}`);
  const sendInitialEvents = isTrue(query.get('sendInitialEvents'));
  if (sendInitialEvents && query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw badRequest('resourceVersionMatch: Forbidden: sendInitialEvents needs resourceVersionMatch "NotOlderThan"');
  }
  return {
    namespace,
    filter,
    revision: parseRevision(query.get('resourceVersion')),
    bookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents,
    timeoutMs: Number(seconds) > 0 ? Math.min(Number(seconds) * 1000, MAX_TIMEOUT_MS) : DEFAULT_TIMEOUT_MS,
  };
}

export function isTrue(text: string | null): boolean {
  return text === 'true' || text === '1';
}

export interface WatchHub {
  serve(response: ServerResponse, view: () => View, query: WatchQuery): void;
  /** Ends every watch. */
  close(): void;
  stats(): { readonly open: number; readonly overtaken: number };
}

interface Watch {
  readonly collection: string;
  wake(): void;
  end(): void;
}

export function createWatchHub(store: Store, registry: Pick<Registry, 'findCollection'>, clock: Clock): WatchHub {
  const watches = new Set<Watch>();
  let overtaken = 0;
  const unsubscribe = store.onCommit((changes) => {
    const touched = new Set(changes.map((change) => change.current.key.collection));
    for (const watch of watches) if (touched.has(watch.collection)) watch.wake();
    if (touched.has(CRDS)) endUnserved();
  });

  /** A collection whose definition is gone has nothing more to tell. */
  function endUnserved(): void {
    for (const watch of [...watches]) if (registry.findCollection(watch.collection) === undefined) watch.end();
  }

  function serve(response: ServerResponse, view: () => View, query: WatchQuery): void {
    const { type } = view();
    const history = store.history(type.collection);
    const timers: Timer[] = [];
    let chunk = '';

    const write = (kind: string, json: string): void => {
      chunk += `{"type":"${kind}","object":${json}}\n`;
      if (chunk.length >= CHUNK_CHARS) flush();
    };
    const flush = (): void => {
      if (chunk === '') return;
      response.write(chunk);
      chunk = '';
    };
    const bookmark = (annotations?: JsonObject): void => {
      const metadata = {
        resourceVersion: String(store.revision()),
        creationTimestamp: null,
        ...(annotations ? { annotations } : {}),
      };
      write('BOOKMARK', JSON.stringify({ kind: type.kind, apiVersion: apiVersionOf(type), metadata }));
    };
    const fail = (error: ApiError): void => {
      write('ERROR', JSON.stringify(error.toStatus()));
      end();
    };

    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
    response.flushHeaders();

    const watch: Watch = { collection: type.collection, wake: pump, end };
    watches.add(watch);
    response.on('close', forget);
    response.on('drain', pump);

    let position = history.end();
    if (query.sendInitialEvents || query.revision === undefined || query.revision === 0) {
      for (const stored of store.list(type.collection))
        if (shown(query, stored)) write('ADDED', renderObject(view(), stored));
      if (query.sendInitialEvents) bookmark({ 'k8s.io/initial-events-end': 'true' });
    } else {
      const start = query.revision > store.revision() ? undefined : history.positionAfter(query.revision);
      if (start === undefined) {
        const ahead = query.revision > store.revision();
        fail(
          ahead
            ? tooLarge(query.revision, store)
            : expired(`too old resource version: ${query.revision} (${store.revision()})`),
        );
        return;
      }
      position = start;
    }
    timers.push(clock.after(query.timeoutMs, finish));
    if (query.bookmarks) armBookmark();
    pump();

    function armBookmark(): void {
      timers[1] = clock.after(BOOKMARK_MS, () => {
        if (!response.writableNeedDrain && history.end() === position) {
          bookmark();
          flush();
        }
        armBookmark();
      });
    }

    function pump(): void {
      flush();
      for (;;) {
        const change = history.read(position);
        if (change === undefined) break;
        if (change === 'dropped') {
          overtaken += 1;
          // A client that takes nothing at all would not take the message either.
          if (response.writableNeedDrain) response.destroy();
          else fail(expired(`too old resource version: the watch fell behind (${store.revision()})`));
          return;
        }
        if (response.writableNeedDrain) return;
        position += 1;
        writeChange(change);
      }
      flush();
    }

    function writeChange(change: Change): void {
      const before = change.previous !== undefined && shown(query, change.previous);
      const after = change.type !== 'DELETED' && shown(query, change.current);
      if (after) write(before ? 'MODIFIED' : 'ADDED', renderObject(view(), change.current));
      else if (before) write('DELETED', renderObject(view(), lastShown(change)));
    }

    function finish(): void {
      if (query.bookmarks && history.end() === position) bookmark();
      end();
    }

    function end(): void {
      flush();
      response.end();
      forget();
    }

    function forget(): void {
      watches.delete(watch);
      response.off('drain', pump);
      for (const timer of timers) timer.cancel();
    }
  }

  return {
    serve,
    close: () => {
      unsubscribe();
      for (const watch of [...watches]) watch.end();
    },
    stats: () => ({ open: watches.size, overtaken }),
  };
}

function shown(query: WatchQuery, stored: StoredObject): boolean {
  return (query.namespace === '' || stored.key.namespace === query.namespace) && query.filter(stored);
}

/** An object that left the selection is shown as it was when it still matched, under the revision at which it left. */
function lastShown(change: Change): StoredObject {
  if (change.type !== 'MODIFIED') return change.current;
  const { key, revision } = change.current;
  const { object } = change.previous;
  const shownObject = { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
  return { key, revision, object: shownObject, json: JSON.stringify(shownObject) };
}
