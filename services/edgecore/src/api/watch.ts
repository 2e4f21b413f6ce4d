// MetaService: desired state for sidecars. A watcher gets every entry, then Listed, then changes.
// Invariants: what waits for a slow watcher is keys, not values, so it is bounded by the set and gives the newest value of each; Listed
// comes after everything that was there when it was due.
import type { ServerWritableStream } from '@grpc/grpc-js';
import { DOWN_KINDS } from '@skerry/common/keys';
import type { MetaServiceServer, WatchRequest, WatchResponse } from '@skerry/gen/skerry/edge/v1/edge';
import type { MetaStore } from '../meta/types.js';

type WatchCall = ServerWritableStream<WatchRequest, WatchResponse>;
type ControllerName = keyof typeof DOWN_KINDS;

/** Stands in the queue for the event Listed. */
const LISTED = Symbol('listed');

export interface WatchService {
  readonly implementation: MetaServiceServer;
  /** A controller's set became full: its watchers are told again. */
  syncedChanged(): void;
  watchers(): number;
}

export interface WatchServiceOptions {
  readonly meta: MetaStore;
  readonly isSynced: (controller: ControllerName) => boolean;
}

export function createWatchService({ meta, isSynced }: WatchServiceOptions): WatchService {
  const open = new Set<{ listed(): void }>();

  function watch(call: WatchCall): void {
    const { prefixes } = call.request;
    const wanted = (key: string): boolean => prefixes.some((prefix) => key.startsWith(prefix));
    const controllers = controllersOf(prefixes);
    const queue = new Set<string | typeof LISTED>();
    let isBlocked = false;

    const pump = (): void => {
      for (const next of queue) {
        if (isBlocked) return;
        queue.delete(next);
        isBlocked = !call.write({ event: eventOf(next) });
      }
    };
    const eventOf = (next: string | typeof LISTED): NonNullable<WatchResponse['event']> => {
      if (typeof next !== 'string') return { $case: 'listed', value: { synced: controllers.every(isSynced) } };
      const entry = meta.get('desired', next);
      if (!entry) return { $case: 'deleted', value: { key: next } };
      const { version, absent } = entry;
      const value = {
        key: next,
        version,
        absent,
        payload: Buffer.from(entry.payload),
        references: [...entry.references],
      };
      return { $case: 'put', value };
    };
    const enqueue = (next: string | typeof LISTED): void => {
      // A key keeps its place: its newest value is read when its turn comes. Listed moves behind what came since.
      if (next === LISTED) queue.delete(next);
      queue.add(next);
      pump();
    };

    const watcher = { listed: () => enqueue(LISTED) };
    const unsubscribe = meta.subscribe((space, key) => {
      if (space === 'desired' && wanted(key)) enqueue(key);
    });
    open.add(watcher);
    call.on('drain', () => {
      isBlocked = false;
      pump();
    });
    call.on('close', () => {
      isBlocked = true;
      unsubscribe();
      open.delete(watcher);
    });
    call.on('error', () => call.end());
    for (const [key] of meta.entries('desired')) if (wanted(key)) queue.add(key);
    enqueue(LISTED);
  }

  return {
    implementation: { watch },
    syncedChanged() {
      for (const watcher of open) watcher.listed();
    },
    watchers: () => open.size,
  };
}

/** Whose set is looked at: every controller that owns a kind under one of the prefixes. */
function controllersOf(prefixes: readonly string[]): ControllerName[] {
  const names = Object.keys(DOWN_KINDS) as ControllerName[];
  return names.filter((name) =>
    DOWN_KINDS[name].some((kind) =>
      prefixes.some((prefix) => prefix.startsWith(`${kind}/`) || `${kind}/`.startsWith(prefix)),
    ),
  );
}
