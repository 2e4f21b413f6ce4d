// The local read timeout of a watch: a connection can die without a word, and a read on it then waits for ever.
// Invariant: the guard's signal aborts when the watch outlives what the server promised, when it falls silent although the server had sent
// bookmarks, or when its owner aborts.
import type { Clock, Timer } from '../clock.js';
import { KubeError } from './kube-error.js';

export interface WatchGuard {
  readonly signal: AbortSignal;
  /** A line has come. */
  heard(bookmark: boolean): void;
  dispose(): void;
}

/** How much later than promised the server may end a watch before we do. */
const GRACE_MS = 30_000;
/** A server that sends bookmarks sends one about every minute: three missing ones are a dead connection. */
const BOOKMARK_SILENCE_MS = 180_000;

/** `promisedMs`: the server was asked to end the watch after this. */
export function createWatchGuard(clock: Clock, promisedMs: number, owner: AbortSignal): WatchGuard {
  const controller = new AbortController();
  const cut = (): void =>
    controller.abort(
      new KubeError('unavailable', 'the watch is stalled: the server neither spoke nor ended it', { httpStatus: 0 }),
    );
  const onAbort = (): void => controller.abort(owner.reason);
  if (owner.aborted) onAbort();
  owner.addEventListener('abort', onAbort, { once: true });
  const lifetime = clock.after(promisedMs + GRACE_MS, cut);
  let silence: Timer | undefined;
  let bookmarks = false;
  return {
    signal: controller.signal,
    heard(bookmark: boolean): void {
      bookmarks ||= bookmark;
      if (!bookmarks) return;
      silence?.cancel();
      silence = clock.after(BOOKMARK_SILENCE_MS, cut);
    },
    dispose(): void {
      lifetime.cancel();
      silence?.cancel();
      owner.removeEventListener('abort', onAbort);
    },
  };
}
