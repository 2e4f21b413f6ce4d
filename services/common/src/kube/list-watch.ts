// The list/watch protocol as a pure step function: what to do next after a page, an event, an end or an error. No I/O, no time.
// Invariants: a watch starts only at the resourceVersion of a complete list or of a later event of that same watch chain; a page is only
// asked for with the continue token of the pass it belongs to; absence is concluded ('sweep') only after the last page of one pass.
// Source of the protocol: Kubernetes API concepts, "Efficient detection of changes" and "Retrieving large result sets in chunks".

/** How a list or watch failed, as far as the protocol cares. */
export type Failure =
  /** 410 Gone or Expired: the version or token is out of the server's history. */
  | { readonly kind: 'gone' }
  /** What was received cannot be trusted, or the request itself was refused: start over with a list. */
  | { readonly kind: 'broken' }
  /** The network, an overloaded or a restarting server: the version is still good. */
  | { readonly kind: 'transient'; readonly retryAfterMs?: number };

export type ListWatchState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'listing'; readonly history: History }
  /** `eventful`: this watch has shown that it works, so its end is no failure. */
  | { readonly kind: 'watching'; readonly version: string; readonly history: History; readonly eventful: boolean }
  | { readonly kind: 'waiting'; readonly next: Resume; readonly history: History }
  | { readonly kind: 'stopped' };

type Resume = { readonly kind: 'list' } | { readonly kind: 'watch'; readonly version: string };

/** What the back-off goes by. */
interface History {
  /** Failures of the present kind of request in a row. */
  readonly failures: number;
  /** Complete lists in a row whose watches never worked: stops a loop of list, 410, list. */
  readonly fruitless: number;
}

export type ListWatchInput =
  | { readonly kind: 'start' }
  | { readonly kind: 'page'; readonly version: string; readonly continueToken?: string }
  | { readonly kind: 'list-failed'; readonly failure: Failure }
  | { readonly kind: 'event'; readonly version: string }
  /** The server ended the watch; `lastedMs` tells a normal end from a server that hangs up at once. */
  | { readonly kind: 'watch-ended'; readonly lastedMs: number }
  | { readonly kind: 'watch-failed'; readonly failure: Failure }
  | { readonly kind: 'waited' }
  /** Somebody wants a fresh list, e.g. because what project() keeps has changed. */
  | { readonly kind: 'relist' }
  | { readonly kind: 'stop' };

export type ListWatchEffect =
  /** Open a pass and get its first page. */
  | { readonly kind: 'list' }
  | { readonly kind: 'next-page'; readonly continueToken: string }
  /** The pass is complete: remove what it did not show, then say that the store is synced. */
  | { readonly kind: 'sweep' }
  | { readonly kind: 'watch'; readonly version: string }
  /** Wait by the back-off for so many failures in a row, but at least `atLeastMs`. */
  | { readonly kind: 'wait'; readonly failures: number; readonly atLeastMs: number }
  /** Events may have been missed: the store is behind until the next sweep. */
  | { readonly kind: 'desynced' }
  /** Abort the request or wait under way; what it still reports is stale. */
  | { readonly kind: 'abort' };

export interface Step {
  readonly state: ListWatchState;
  readonly effects: readonly ListWatchEffect[];
}

/** A watch that lived this long was a good one even if nothing happened. */
const HEALTHY_WATCH_MS = 10_000;
/** So many watches in a row that could not even begin: the version may be one that this server does not know. */
const MAX_WATCH_FAILURES = 8;

export function initialState(): ListWatchState {
  return { kind: 'idle' };
}

export function step(state: ListWatchState, input: ListWatchInput): Step {
  if (state.kind === 'stopped') return stay(state);
  if (input.kind === 'stop') return { state: { kind: 'stopped' }, effects: [{ kind: 'abort' }] };
  if (input.kind === 'relist') return relistNow(state);
  switch (state.kind) {
    case 'idle':
      return input.kind === 'start' ? list(CLEAN) : stay(state);
    case 'listing':
      return whileListing(state, input);
    case 'watching':
      return whileWatching(state, input);
    case 'waiting':
      if (input.kind !== 'waited') return stay(state);
      return state.next.kind === 'list' ? list(state.history) : watch(state.next.version, state.history);
  }
}

function whileListing(state: ListWatchState & { kind: 'listing' }, input: ListWatchInput): Step {
  const { history } = state;
  if (input.kind === 'list-failed') return waitFor({ kind: 'list' }, failed(history), input.failure);
  if (input.kind !== 'page') return stay(state);
  const done = { ...history, failures: 0 };
  if (input.continueToken !== undefined)
    return { state: { kind: 'listing', history: done }, effects: [nextPage(input.continueToken)] };
  const next = watch(input.version, done);
  return { state: next.state, effects: [{ kind: 'sweep' }, ...next.effects] };
}

function whileWatching(state: ListWatchState & { kind: 'watching' }, input: ListWatchInput): Step {
  switch (input.kind) {
    case 'event':
      return stay({ kind: 'watching', version: input.version, history: CLEAN, eventful: true });
    case 'watch-ended':
      if (state.eventful || input.lastedMs >= HEALTHY_WATCH_MS) return watch(state.version, CLEAN);
      return rewatch(state, { kind: 'transient' });
    case 'watch-failed':
      return input.failure.kind === 'transient'
        ? rewatch(state, input.failure)
        : startOver(state.history, input.failure);
    default:
      return stay(state);
  }
}

function rewatch(state: ListWatchState & { kind: 'watching' }, failure: Failure): Step {
  const history = failed(state.history);
  if (history.failures >= MAX_WATCH_FAILURES) return startOver(history, failure);
  return waitFor({ kind: 'watch', version: state.version }, history, failure);
}

/** The version is lost. The first time a list follows at once; lists that lead here again and again are spaced by the back-off. */
function startOver(history: History, failure: Failure): Step {
  const next = { failures: history.fruitless, fruitless: history.fruitless + 1 };
  const { state, effects } = next.failures === 0 ? list(next) : waitFor({ kind: 'list' }, next, failure);
  return { state, effects: [{ kind: 'desynced' }, ...effects] };
}

function relistNow(state: ListWatchState): Step {
  if (state.kind === 'idle') return stay(state);
  const next = list(CLEAN);
  return { state: next.state, effects: [{ kind: 'abort' }, ...next.effects] };
}

const CLEAN: History = { failures: 0, fruitless: 0 };

function failed(history: History): History {
  return { ...history, failures: history.failures + 1 };
}

function list(history: History): Step {
  return { state: { kind: 'listing', history }, effects: [{ kind: 'list' }] };
}

function nextPage(continueToken: string): ListWatchEffect {
  return { kind: 'next-page', continueToken };
}

function watch(version: string, history: History): Step {
  return { state: { kind: 'watching', version, history, eventful: false }, effects: [{ kind: 'watch', version }] };
}

function waitFor(next: Resume, history: History, failure: Failure): Step {
  const atLeastMs = failure.kind === 'transient' ? (failure.retryAfterMs ?? 0) : 0;
  return {
    state: { kind: 'waiting', next, history },
    effects: [{ kind: 'wait', failures: history.failures, atLeastMs }],
  };
}

function stay(state: ListWatchState): Step {
  return { state, effects: [] };
}
