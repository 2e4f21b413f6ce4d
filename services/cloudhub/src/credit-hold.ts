// Credit that one controller grants to edges, held back while the hub's queue to that controller is congested: what edges send on it would
// only make the queue longer. Data is never held.
// Invariants: grants of one lane session and lane add up, so what is held is bounded by nodes and lanes; who waited longest is served first,
// a batch at a time, so that those served do not fill the queue at once.
import type { Clock, Timer } from '@skerry/common/clock';
import { CONGESTED_SHARE, MAX_QUEUED_BYTES } from '@skerry/common/link/limits';
import type { Channel } from '@skerry/common/link/types';
import type { Lane } from '@skerry/gen/skerry/link/v1/link';

export interface CreditHoldOptions<Route> {
  /** The controller's. */
  readonly channel: Pick<Channel, 'hasRoom' | 'awaitRoom'>;
  readonly pass: (route: Route, lane: Lane, bytes: number) => void;
  /** A grant has to wait. */
  readonly onHeld: () => void;
  readonly clock: Clock;
}

export interface CreditHold<Route> {
  /** Passes a grant on, now or when its turn comes. */
  grant(route: Route, lane: Lane, bytes: number): void;
  /** The lane session is over. */
  forget(route: Route): void;
  /** The controller is gone. */
  close(): void;
}

/** What is let go before the queue is looked at again. */
const BATCH_BYTES = MAX_QUEUED_BYTES * CONGESTED_SHARE;
/** After so long most of a batch has become frames, or its edges have nothing to send. */
const BATCH_INTERVAL_MS = 100;

export function createCreditHold<Route>(options: CreditHoldOptions<Route>): CreditHold<Route> {
  const { channel, pass, clock } = options;
  const held = new Map<Route, Map<Lane, number>>();
  let pause: Timer | undefined;

  function grant(route: Route, lane: Lane, bytes: number): void {
    if (held.size === 0 && !pause && channel.hasRoom()) {
      pass(route, lane, bytes);
      return;
    }
    options.onHeld();
    const lanes = held.get(route) ?? new Map<Lane, number>();
    lanes.set(lane, (lanes.get(lane) ?? 0) + bytes);
    held.set(route, lanes);
    if (!pause) channel.awaitRoom(releaseBatch);
  }

  function releaseBatch(): void {
    let released = 0;
    for (const [route, lanes] of held) {
      held.delete(route);
      for (const [lane, bytes] of lanes) {
        pass(route, lane, bytes);
        released += bytes;
      }
      if (released >= BATCH_BYTES) break;
    }
    if (held.size > 0) pause = clock.after(BATCH_INTERVAL_MS, resume);
  }

  function resume(): void {
    pause = undefined;
    if (channel.hasRoom()) releaseBatch();
    else channel.awaitRoom(releaseBatch);
  }

  return {
    grant,
    forget: (route) => void held.delete(route),
    close() {
      pause?.cancel();
      held.clear();
    },
  };
}
