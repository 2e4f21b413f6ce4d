// Decides what a client's state/update does. Pure: nothing is changed here.
import type { DeviceHead } from './types.js';
import type { Refusal } from './update.js';

const STATES: ReadonlySet<string> = new Set(['online', 'offline', 'ok', 'unknown', 'unhealthy']);
const SEEN: ReadonlySet<string> = new Set(['online', 'ok']);

export interface StateAcceptance {
  readonly kind: 'accepted';
  readonly head: DeviceHead;
}

/** The state is kept as the client wrote it; a device that is online or ok was seen now, any other has no time. */
export function decideState(head: DeviceHead, state: string, nowMs: number): StateAcceptance | Refusal {
  const name = state.toLowerCase();
  if (!STATES.has(name)) {
    const reason = `state "${state.slice(0, 40)}" is none of ${[...STATES].join(', ')}`;
    return { kind: 'refused', code: 400, reason };
  }
  return { kind: 'accepted', head: { ...head, state, lastOnlineTime: SEEN.has(name) ? toRfc3339(nowMs) : '' } };
}

/** Whole seconds, as KubeEdge writes them. */
function toRfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
