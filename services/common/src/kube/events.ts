// Kubernetes Events (core/v1) for what happened on an edge. Best effort: an Event that cannot be written is the caller's to drop.
// Invariant: the name is a hash of the entry's identity, so posting an entry again creates nothing new.
import { createHash } from 'node:crypto';
import type { CallOptions, KubeClient } from './client.js';
import { isAlreadyExists } from './kube-error.js';
import { EVENTS, type KubeEvent } from './resources.js';

export interface EventInput {
  /** What makes this entry one and the same when it is sent again, e.g. `<node>/<epoch>/<stream>/<n>`. */
  readonly id: string;
  readonly involved: {
    readonly apiVersion: string;
    readonly kind: string;
    /** Left out for objects without one; their Events live in `default`. */
    readonly namespace?: string;
    readonly name: string;
    readonly uid?: string;
    readonly fieldPath?: string;
  };
  readonly type: 'Normal' | 'Warning';
  /** A short CamelCase word. */
  readonly reason: string;
  readonly message: string;
  /** How often it happened between the two times (Unix ms). */
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** The component, e.g. `edgecore`. */
  readonly component: string;
  /** The node it happened on. */
  readonly host?: string;
}

/** The API server's bounds: a longer text is refused, so it is cut. */
const MAX_MESSAGE = 1_024;
const MAX_REASON = 128;

/** `<involved name>.<hash>`: the name's first part is for people, the hash of `id` makes it unique. */
export function eventName(input: Pick<EventInput, 'id' | 'involved'>): string {
  const hash = createHash('sha256').update(input.id, 'utf8').digest('hex').slice(0, 24);
  // A name has 253 characters at most, and may not have a dot or a dash before a dot.
  const readable = input.involved.name.slice(0, 200).replace(/[-.]+$/, '');
  return `${readable}.${hash}`;
}

export function buildEvent(input: EventInput): KubeEvent {
  const namespace = input.involved.namespace ?? 'default';
  const { component, host } = input;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: eventName(input), namespace },
    involvedObject: { ...input.involved },
    type: input.type,
    reason: input.reason.slice(0, MAX_REASON),
    message: input.message.slice(0, MAX_MESSAGE),
    count: input.count,
    firstTimestamp: rfc3339(input.firstMs),
    lastTimestamp: rfc3339(input.lastMs),
    source: { component, ...(host !== undefined && { host }) },
    reportingComponent: component,
    reportingInstance: host ?? component,
  };
}

/** Writes the Event; one that is there already is done. Throws KubeError otherwise (404: the namespace is gone). */
export async function postEvent(
  client: Pick<KubeClient, 'create'>,
  input: EventInput,
  options?: CallOptions,
): Promise<void> {
  try {
    await client.create(EVENTS, buildEvent(input), options);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

/** meta/v1 Time has whole seconds. */
function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
