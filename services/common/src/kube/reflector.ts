// Mirrors one resource (or a selection of it) into a store of projections: list in pages, then watch, for as long as it runs.
// Owns the effects; what to do next is decided in list-watch.ts. Invariants: one request or wait is under way at a time; what an aborted
// one still yields is ignored; every error leads to another attempt, none ends the reflector.
import type { Clock } from '../clock.js';
import { isSkerryError, messageOf, SkerryError } from '../errors.js';
import type { Component } from '../lifecycle.js';
import type { Logger } from '../logger.js';
import { backoffMs } from './backoff.js';
import type { KubeClient } from './client.js';
import { createGate } from './gate.js';
import { errorFromStatus, isGone, isKubeError, KubeError } from './kube-error.js';
import {
  type Failure,
  initialState,
  type ListWatchEffect,
  type ListWatchInput,
  type ListWatchState,
  step,
} from './list-watch.js';
import type { KubeObject } from './object.js';
import { createProjection, type Project, type ReflectorHandler } from './projection.js';
import type { Resource } from './resources.js';
import { createStore, type StoreView } from './store.js';
import { createWatchGuard } from './watch-guard.js';
import type { WatchEvent } from './watch-stream.js';

export interface ReflectorOptions<K extends KubeObject, T> {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly resource: Resource<K>;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly project: Project<K, T>;
  readonly handler: ReflectorHandler<T>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** Objects a page. */
  readonly pageSize?: number;
  /** The server is asked to end each watch after a random time in this range (ms). */
  readonly watchTimeoutMs?: { readonly min: number; readonly max: number };
}

export interface ReflectorMetrics {
  readonly phase: ListWatchState['kind'];
  readonly objects: number;
  /** Complete lists; the first one is not a relist. */
  readonly lists: number;
  readonly relists: number;
  readonly watchStarts: number;
  readonly watchFailures: number;
  readonly listFailures: number;
  readonly events: number;
  /** project() and handler calls that threw. */
  readonly handlerErrors: number;
}

export interface Reflector<T> extends Component {
  readonly store: StoreView<T>;
  /** Whether a complete list was ever applied. The store stays usable, if late, while a later list is under way. */
  hasSynced(): boolean;
  /** Resolves once synced; rejects with the signal's reason, or with `cancelled` when the reflector stops. */
  waitForSync(signal?: AbortSignal): Promise<void>;
  /** Lists again at once, e.g. because project() wants other objects now. */
  relist(): void;
  metrics(): ReflectorMetrics;
}

const BACKOFF = { baseMs: 500, maxMs: 30_000 };
const LIST_TIMEOUT_MS = 60_000;
/** client-go's range: long enough to be cheap, random so that many watches do not end together. */
const WATCH_TIMEOUT_MS = { min: 300_000, max: 600_000 };
export function createReflector<K extends KubeObject, T>(options: ReflectorOptions<K, T>): Reflector<T> {
  const { client, resource, clock, random } = options;
  const logger = options.logger.child({ reflector: resource.plural });
  const store = createStore<T>();
  const projection = createProjection({ project: options.project, handler: options.handler, store, logger });
  const selection = {
    ...(options.namespace !== undefined && { namespace: options.namespace }),
    ...(options.labelSelector !== undefined && { labelSelector: options.labelSelector }),
    ...(options.fieldSelector !== undefined && { fieldSelector: options.fieldSelector }),
  };
  const counters = { lists: 0, watchStarts: 0, watchFailures: 0, listFailures: 0, events: 0 };
  const firstSync = createGate();
  let state = initialState();
  let abort = new AbortController();
  let underWay: Promise<unknown> = Promise.resolve();

  function dispatch(input: ListWatchInput): void {
    const next = step(state, input);
    state = next.state;
    for (const effect of next.effects) perform(effect);
  }

  function perform(effect: ListWatchEffect): void {
    switch (effect.kind) {
      case 'list':
        store.beginPass();
        run((signal) => listPage(undefined, signal));
        return;
      case 'next-page':
        run((signal) => listPage(effect.continueToken, signal));
        return;
      case 'sweep':
        counters.lists += 1;
        projection.sweep();
        firstSync.open();
        return;
      case 'watch':
        run((signal) => watchFrom(effect.version, signal));
        return;
      case 'wait':
        run((signal) => wait(effect.failures, effect.atLeastMs, signal));
        return;
      case 'desynced':
        projection.desynced();
        return;
      case 'abort':
        abort.abort(new SkerryError('cancelled', 'the reflector moved on'));
        return;
    }
  }

  /** Operations report by returning; they do not throw. */
  function run(operation: (signal: AbortSignal) => Promise<ListWatchInput>): void {
    const mine = new AbortController();
    abort = mine;
    const done = operation(mine.signal).then((input) => {
      if (!mine.signal.aborted) dispatch(input);
    });
    underWay = Promise.all([underWay, done]);
  }

  async function listPage(continueToken: string | undefined, signal: AbortSignal): Promise<ListWatchInput> {
    try {
      const page = await client.list(resource, {
        ...selection,
        limit: options.pageSize ?? 500,
        ...(continueToken !== undefined && { continueToken }),
        timeoutMs: LIST_TIMEOUT_MS,
        retry: false,
        signal,
      });
      if (signal.aborted) return { kind: 'list-failed', failure: { kind: 'transient' } };
      const version = requireVersion(page.metadata.resourceVersion);
      for (const object of page.items) {
        if (signal.aborted) break; // a handler asked for a relist: the rest would count for the new pass
        projection.upsert(object);
      }
      const next = page.metadata.continue;
      return { kind: 'page', version, ...(next && { continueToken: next }) };
    } catch (error) {
      if (!signal.aborted) {
        counters.listFailures += 1;
        logger.warn('list failed', { error: messageOf(error) });
      }
      return { kind: 'list-failed', failure: failureOf(error) };
    }
  }

  async function watchFrom(version: string, signal: AbortSignal): Promise<ListWatchInput> {
    const { min, max } = options.watchTimeoutMs ?? WATCH_TIMEOUT_MS;
    const timeoutMs = min + (max - min) * random();
    const guard = createWatchGuard(clock, timeoutMs, signal);
    const startedMs = clock.monotonicMs();
    counters.watchStarts += 1;
    try {
      const timeoutSeconds = Math.max(1, Math.round(timeoutMs / 1_000));
      const events = await client.watch(resource, {
        ...selection,
        resourceVersion: version,
        timeoutSeconds,
        signal: guard.signal,
      });
      for await (const event of events) {
        if (signal.aborted) break;
        applyEvent(event);
        guard.heard(event.type === 'BOOKMARK');
      }
      return { kind: 'watch-ended', lastedMs: clock.monotonicMs() - startedMs };
    } catch (error) {
      if (!signal.aborted) {
        counters.watchFailures += 1;
        logger.warn('watch failed', { error: messageOf(error) });
      }
      return { kind: 'watch-failed', failure: failureOf(error) };
    } finally {
      guard.dispose();
    }
  }

  function applyEvent(event: WatchEvent<K>): void {
    if (event.type === 'ERROR') throw errorFromStatus(`watch of ${resource.plural}`, event.object);
    const version = requireVersion(event.object.metadata?.resourceVersion);
    if (event.type === 'DELETED') projection.remove(event.object);
    else if (event.type !== 'BOOKMARK') projection.upsert(event.object);
    counters.events += 1;
    dispatch({ kind: 'event', version });
  }

  async function wait(failures: number, atLeastMs: number, signal: AbortSignal): Promise<ListWatchInput> {
    const delayMs = atLeastMs + backoffMs(failures, BACKOFF, random);
    await clock.sleep(delayMs, signal).catch(() => {}); // aborted: what is returned is ignored
    return { kind: 'waited' };
  }

  return {
    name: `reflector ${resource.plural}`,
    store,
    async start() {
      dispatch({ kind: 'start' });
    },
    async stop() {
      dispatch({ kind: 'stop' });
      firstSync.close(new SkerryError('cancelled', `the reflector of ${resource.plural} was stopped`));
      await underWay;
    },
    hasSynced: () => firstSync.isOpen(),
    waitForSync: (signal) => firstSync.wait(signal),
    relist: () => dispatch({ kind: 'relist' }),
    metrics: () => ({
      ...counters,
      phase: state.kind,
      objects: store.size,
      relists: Math.max(0, counters.lists - 1),
      handlerErrors: projection.errors(),
    }),
  };
}

/** What a failure means for the protocol. Exported for its tests. */
export function failureOf(error: unknown): Failure {
  if (isGone(error)) return { kind: 'gone' };
  if (isSkerryError(error, 'data_loss')) return { kind: 'broken' };
  if (!isKubeError(error)) return { kind: 'transient' };
  // A refused request (bad version, resource not there) needs another start; missing rights and overload only need time.
  const refused = error.httpStatus >= 400 && error.httpStatus < 500 && ![401, 403, 408, 429].includes(error.httpStatus);
  if (refused) return { kind: 'broken' };
  return { kind: 'transient', ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }) };
}

function requireVersion(version: string | undefined): string {
  if (version) return version;
  throw new KubeError('data_loss', 'the API server sent a list or an event without a resourceVersion', {
    httpStatus: 0,
  });
}
