// What the hub checks of frames that it passes on unread: that a sender keeps to the credit of the other end, lane by lane. With it, what
// the hub may have to hold for one node and lane is bounded by MAX_CREDIT and one body.
// Invariant: one guard per lane session at the hub; it starts anew whenever the session does.
import type { Lane } from '@skerry/gen/skerry/link/v1/link';
import { Credit } from './credit.js';
import { fits } from './lanes.js';
import type { Envelope } from './types.js';

export type RelayDirection = 'up' | 'down';

export interface RelayGuard {
  /**
   * Checks a frame before it is passed on; `up` is from the edge. Returns what the sender did wrong, if anything: then cut it off (an edge
   * by its channel, a controller's node by a Detached) and count it.
   */
  check(direction: RelayDirection, envelope: Envelope): string | undefined;
}

export function createRelayGuard(): RelayGuard {
  const lanes: Record<RelayDirection, Map<Lane, Credit>> = { up: new Map(), down: new Map() };

  function creditOf(direction: RelayDirection, lane: Lane): Credit {
    const known = lanes[direction].get(lane);
    if (known) return known;
    const credit = new Credit();
    lanes[direction].set(lane, credit);
    return credit;
  }

  function check(direction: RelayDirection, { lane, body }: Envelope): string | undefined {
    if (!fits(lane, body)) return `a ${body.$case} does not belong on lane ${lane}`;
    // A grant that goes up lets the other end send down.
    if (body.$case === 'credit') return creditOf(direction === 'up' ? 'down' : 'up', lane).grant(body.value.bytes);
    return creditOf(direction, lane).spend(body);
  }

  return { check };
}
