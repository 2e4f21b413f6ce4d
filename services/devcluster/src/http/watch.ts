// All open watches: woken by commits, ended together.
import type { ServerResponse } from 'node:http';
import type { Clock } from '@skerry/common/clock';
import { badRequest } from '../api/status.js';
import { type Filter, parseRevision } from '../operations/read.js';
import { CRDS } from '../registry/crd.js';
import type { Registry } from '../registry/registry.js';
import type { Store } from '../storage/store.js';
import type { View } from './respond.js';
import { createWatchStream, type WatchQuery, type WatchStream } from './watch-stream.js';

const DEFAULT_TIMEOUT_MS = 45 * 60_000;
const MAX_TIMEOUT_MS = 24 * 3_600_000;

/** Throws 400. */
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
  /** Answers with a stream that lasts until its timeout, the client or `close` ends it. */
  serve(response: ServerResponse, view: () => View, query: WatchQuery): void;
  /** Ends every watch. */
  close(): void;
  stats(): { readonly open: number; readonly overtaken: number };
}

export function createWatchHub(store: Store, registry: Pick<Registry, 'findCollection'>, clock: Clock): WatchHub {
  const watches = new Set<WatchStream>();
  let overtaken = 0;
  const unsubscribe = store.onCommit((changes) => {
    const touched = new Set(changes.map((change) => change.current.key.collection));
    for (const watch of [...watches]) if (touched.has(watch.collection)) watch.wake();
    if (touched.has(CRDS)) endUnserved();
  });

  /** A collection whose definition is gone has nothing more to tell. */
  function endUnserved(): void {
    for (const watch of [...watches]) if (registry.findCollection(watch.collection) === undefined) watch.end();
  }

  return {
    serve: (response, view, query) => {
      const stream = createWatchStream({
        store,
        clock,
        response,
        view,
        query,
        onOvertaken: () => {
          overtaken += 1;
        },
        onEnd: () => watches.delete(stream),
      });
      watches.add(stream);
      stream.start();
    },
    close: () => {
      unsubscribe();
      for (const watch of [...watches]) watch.end();
    },
    stats: () => ({ open: watches.size, overtaken }),
  };
}
