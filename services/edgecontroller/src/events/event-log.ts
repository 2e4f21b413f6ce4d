// Kubernetes Events that an edge recorded, as entries of its log stream "kube-events": taken in, judged, posted.
// Invariants: an entry takes effect once, because its Event's name is a hash of (node, epoch, stream, n); a node speaks of itself and of
// its own Pods only; what cannot be posted is dropped and counted, because Events are best effort and must not hold up those behind them.
import type { Clock } from '@skerry/common/clock';
import { type JsonObject, objectMember, parseJsonObject } from '@skerry/common/controller/json';
import { isRefusal, persistently, type RetryOptions } from '@skerry/common/controller/settlement';
import { isSkerryError, messageOf, SkerryError } from '@skerry/common/errors';
import type { KubeClient } from '@skerry/common/kube/client';
import { type EventInput, postEvent } from '@skerry/common/kube/events';
import type { LogItem, LogSink } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';

export interface EventCounters {
  posted: number;
  /** Older than the API keeps them. */
  droppedOld: number;
  /** About an object that is not the node's. */
  droppedForeign: number;
  /** Not understood, or refused by the API. */
  droppedInvalid: number;
}

export interface EventLogOptions {
  readonly node: string;
  readonly client: KubeClient;
  /** Whether the node has that Pod. Resolves when the answer is certain. */
  readonly hasPod: (namespace: string, name: string, uid: string) => Promise<boolean>;
  readonly counters: EventCounters;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface EventLog extends LogSink {
  /** Gives up posts under way. */
  close(): void;
}

export const EVENTS_STREAM = 'kube-events';
/** The API server's own --event-ttl. */
const MAX_AGE_MS = 3_600_000;

export function createEventLog(options: EventLogOptions): EventLog {
  const { node, client, counters, clock, random, logger } = options;
  const closing = new AbortController();
  const retry: RetryOptions = { signal: closing.signal, clock, random };
  /** Of the stream's present epoch. */
  let taken = { epoch: '', n: 0n };

  async function take(epoch: string, item: LogItem): Promise<void> {
    try {
      const event = parseEvent(item.payload, node, `${node}/${epoch}/${EVENTS_STREAM}/${item.n}`);
      if (clock.nowMs() - event.lastMs > MAX_AGE_MS) counters.droppedOld += 1;
      else if (!(await isOwn(event.involved))) counters.droppedForeign += 1;
      else {
        await persistently((signal) => postEvent(client, event, { signal }), retry);
        counters.posted += 1;
      }
    } catch (error) {
      if (!isRefusal(error) && !isSkerryError(error, 'invalid_argument')) throw error;
      counters.droppedInvalid += 1;
      logger.debug('event dropped', { node, n: item.n, error: messageOf(error) });
    }
  }

  async function isOwn({ kind, namespace = '', name, uid = '' }: EventInput['involved']): Promise<boolean> {
    // Events on a Node lie where it has its own: no node writes into the namespaces of others.
    if (kind === 'Node') return name === node && namespace === '';
    return kind === 'Pod' && (await options.hasPod(namespace, name, uid));
  }

  return {
    last: (stream, epoch) => (stream === EVENTS_STREAM && epoch === taken.epoch ? taken.n : 0n),
    async append(stream, epoch, items) {
      if (stream !== EVENTS_STREAM)
        throw new SkerryError('unsupported', `edgecontroller takes no log stream "${stream.slice(0, 100)}"`);
      for (const item of items) {
        await take(epoch, item);
        taken = { epoch, n: item.n };
      }
    },
    close: () => closing.abort(),
  };
}

/** Throws `invalid_argument` for what is no event. */
function parseEvent(payload: Uint8Array, host: string, id: string): EventInput {
  const entry = parseJsonObject(payload, 'the event');
  const involved = objectMember(entry, 'involvedObject', 'the event');
  const timestampMs = Date.parse(text(entry, 'timestamp'));
  if (Number.isNaN(timestampMs)) throw new SkerryError('invalid_argument', 'the event has no timestamp');
  const count = entry['count'];
  return {
    id,
    involved: {
      apiVersion: 'v1',
      kind: text(involved, 'kind'),
      name: text(involved, 'name'),
      ...optional(involved, 'namespace'),
      ...optional(involved, 'uid'),
      ...optional(involved, 'fieldPath'),
    },
    type: entry['type'] === 'Warning' ? 'Warning' : 'Normal',
    reason: text(entry, 'reason'),
    message: text(entry, 'message'),
    count: typeof count === 'number' && count > 0 ? Math.trunc(count) : 1,
    firstMs: timestampMs,
    lastMs: timestampMs,
    component: text(entry, 'component') || 'edgecore',
    host,
  };
}

function text(object: JsonObject, name: string): string {
  const value = object[name];
  return typeof value === 'string' ? value : '';
}

function optional<K extends string>(object: JsonObject, name: K): Partial<Record<K, string>> {
  const value = text(object, name);
  return value === '' ? {} : ({ [name]: value } as Partial<Record<K, string>>);
}
