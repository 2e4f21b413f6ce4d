// Stays attached to one hub: dials, serves the channel until it ends, waits, dials again.
// Invariants: one channel at a time; a connection that did not last counts as a failure, so a hub that hangs up at once is not hammered;
// stop closes the channel with Goodbye and waits for its end.
import { Goodbye_Reason } from '@skerry/gen/skerry/link/v1/link';
import type { Clock } from '../clock.js';
import { messageOf } from '../errors.js';
import { backoffMs } from '../kube/backoff.js';
import type { Component } from '../lifecycle.js';
import { isRefused } from '../link/channel.js';
import type { Channel, ChannelEnd } from '../link/types.js';
import type { Logger } from '../logger.js';

export interface HubConnectionOptions {
  /** host:port. */
  readonly hub: string;
  /** Dials and shakes hands. */
  readonly dial: (hub: string, signal: AbortSignal) => Promise<Channel>;
  /** Sets the channel's listeners; called before its `start`. Returns what to do when it has ended. */
  readonly onChannel: (channel: Channel) => { envelope: Parameters<Channel['onEnvelope']>[0]; ended: () => void };
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface HubConnection extends Component {
  /** The open channel, if there is one. */
  channel(): Channel | undefined;
}

const BACKOFF = { baseMs: 500, maxMs: 5_000 };
/** A channel that lived so long was a good one. */
const SETTLED_MS = 10_000;

export function createHubConnection(options: HubConnectionOptions): HubConnection {
  const { hub, clock, random } = options;
  const logger = options.logger.child({ hub });
  const stopping = new AbortController();
  let channel: Channel | undefined;
  let running: Promise<void> = Promise.resolve();

  /** Resolves with how long the hub wants us to stay away, in ms. */
  async function connect(): Promise<number> {
    const opened = await options.dial(hub, stopping.signal);
    if (stopping.signal.aborted) {
      opened.close({});
      return 0;
    }
    logger.info('attached to hub', { instance: opened.welcome.hubInstance });
    const end = await serve(opened);
    logger.warn('detached from hub', { end: end.kind, reason: reasonOf(end) });
    return end.kind === 'goodbye' ? end.goodbye.retryAfterMs : 0;
  }

  function serve(opened: Channel): Promise<ChannelEnd> {
    return new Promise((resolve) => {
      const { envelope, ended } = options.onChannel(opened);
      channel = opened;
      opened.onEnvelope(envelope);
      opened.onEnd((end) => {
        channel = undefined;
        ended();
        resolve(end);
      });
      opened.start();
    });
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      const startedMs = clock.monotonicMs();
      const stayAwayMs = await connect().catch((error: unknown) => {
        if (!stopping.signal.aborted) logger.warn('hub cannot be reached', { error: messageOf(error) });
        return isRefused(error) ? error.goodbye.retryAfterMs : 0;
      });
      failures = clock.monotonicMs() - startedMs >= SETTLED_MS ? 1 : failures + 1;
      const waitMs = stayAwayMs + backoffMs(failures, BACKOFF, random);
      await clock.sleep(waitMs, stopping.signal).catch(() => {}); // stopped: the loop ends
    }
  }

  return {
    name: `hub ${hub}`,
    channel: () => channel,
    async start() {
      running = run();
    },
    async stop() {
      stopping.abort();
      channel?.close({ reason: Goodbye_Reason.REASON_SHUTTING_DOWN, message: 'the controller stops' });
      await running;
    },
  };
}

function reasonOf(end: ChannelEnd): string {
  if (end.kind === 'goodbye') return end.goodbye.message || (Goodbye_Reason[end.goodbye.reason] ?? '');
  return end.kind === 'lost' ? end.reason : '';
}
