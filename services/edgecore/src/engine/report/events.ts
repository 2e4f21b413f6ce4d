// Kubernetes Events on their way to edgecore's log.
// Invariants: an Event that repeats is one with a count, told at growing distances; what is remembered and what is queued is bounded, and
// drops are counted; a caller never waits.
import type { Clock, Timer } from '@skerry/common/clock';
import { isSkerryError, messageOf } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';
import type { PodRef } from '../runtime/runtime.js';

export type EventType = 'Normal' | 'Warning';

export interface PodEvent {
  readonly pod: PodRef;
  readonly type: EventType;
  readonly reason: string;
  readonly message: string;
  /** The container that it is about. */
  readonly container?: { readonly name: string; readonly kind: 'init' | 'main' };
}

export interface EventRecorder {
  record(event: PodEvent): void;
  /** Events that were lost because edgecore did not take them in time, or refused them; told by a log line, once a minute at most. */
  dropped(): number;
  /** Sends what is queued unless edgecore is away. */
  stop(deadline: AbortSignal): Promise<void>;
}

export interface EventRecorderOptions {
  /** Appends to edgecore's log; rejects with `unavailable` while it is away. */
  readonly append: (payloads: readonly Buffer[]) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Repeated {
  count: number;
  /** Monotonic. */
  toldAtMs: number;
}

const MAX_QUEUED = 1_000;
const MAX_BATCH = 50;
/** Different Events whose repetitions are counted; the one told longest ago is forgotten first. */
const MAX_REMEMBERED = 1_000;
/** A repetition is told at most this often. */
const REPEAT_MS = 30_000;
/** After this without a repetition an Event is a new one. */
const FORGET_MS = 600_000;
const RETRY_MS = 1_000;
const MAX_MESSAGE = 1_024;
const TELL_DROPS_MS = 60_000;

export function createEventRecorder({ append, clock, logger }: EventRecorderOptions): EventRecorder {
  const repeated = new Map<string, Repeated>();
  let queue: Buffer[] = [];
  let dropped = 0;
  let droppedTold = 0;
  let tellTimer: Timer | undefined;
  let sending: Promise<void> | undefined;
  let stopping = false;
  const patience = new AbortController();

  function record(event: PodEvent): void {
    const entry = remember(JSON.stringify([event.pod.uid, event.reason, event.message, event.container?.name]));
    if (!entry) return;
    if (queue.length >= MAX_QUEUED) {
      queue.shift();
      drop(1);
    }
    queue.push(Buffer.from(JSON.stringify(payloadOf(event, entry, clock.nowMs()))));
    sending ??= send();
  }

  function drop(events: number): void {
    dropped += events;
    if (!tellTimer) tellDrops();
  }

  /** Now, and once more for those that follow within a minute. */
  function tellDrops(): void {
    tellTimer = undefined;
    if (dropped === droppedTold) return;
    logger.warn('Events were lost: edgecore did not take them', { events: dropped - droppedTold, dropped });
    droppedTold = dropped;
    if (!stopping) tellTimer = clock.after(TELL_DROPS_MS, tellDrops);
  }

  /** The Event's count so far, or undefined when it was told a moment ago. */
  function remember(key: string): Repeated | undefined {
    const nowMs = clock.monotonicMs();
    const known = repeated.get(key);
    const again = known !== undefined && nowMs - known.toldAtMs < FORGET_MS;
    const entry = again ? known : { count: 0, toldAtMs: Number.NEGATIVE_INFINITY };
    entry.count += 1;
    if (again && nowMs - entry.toldAtMs < REPEAT_MS) return undefined;
    entry.toldAtMs = nowMs;
    // Last in the map: told last.
    repeated.delete(key);
    repeated.set(key, entry);
    const [oldest] = repeated.keys();
    if (repeated.size > MAX_REMEMBERED && oldest !== undefined) repeated.delete(oldest);
    return entry;
  }

  async function send(): Promise<void> {
    // Together what is recorded together.
    await Promise.resolve();
    while (queue.length > 0) {
      const batch = queue.slice(0, MAX_BATCH);
      try {
        await append(batch);
        queue = queue.filter((payload) => !batch.includes(payload));
      } catch (error) {
        // Nobody is there to take them, and nobody will wait.
        if (stopping) break;
        if (isSkerryError(error, 'invalid_argument')) {
          queue = queue.filter((payload) => !batch.includes(payload));
          drop(batch.length);
        }
        logger.debug('events not taken', { error: messageOf(error), queued: queue.length });
        await clock.sleep(RETRY_MS, patience.signal).catch(() => {});
      }
    }
    sending = undefined;
  }

  return {
    record,
    dropped: () => dropped,
    async stop(deadline) {
      stopping = true;
      const abort = (): void => patience.abort();
      deadline.addEventListener('abort', abort, { once: true });
      if (deadline.aborted) abort();
      await sending;
      deadline.removeEventListener('abort', abort);
      tellTimer?.cancel();
      tellDrops();
    },
  };
}

function payloadOf(event: PodEvent, entry: Repeated, nowMs: number): object {
  const { pod, container } = event;
  const list = container?.kind === 'init' ? 'initContainers' : 'containers';
  return {
    involvedObject: {
      apiVersion: 'v1',
      kind: 'Pod',
      namespace: pod.namespace,
      name: pod.name,
      uid: pod.uid,
      ...(container ? { fieldPath: `spec.${list}{${container.name}}` } : {}),
    },
    type: event.type,
    reason: event.reason,
    message: event.message.slice(0, MAX_MESSAGE),
    timestamp: new Date(nowMs).toISOString(),
    count: entry.count,
    component: 'skerry-engine',
  };
}
