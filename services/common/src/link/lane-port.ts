// One lane of a lane session: what may be sent under the peer's credit, and the credit that is given to the peer.
// Invariants: replies leave before new bodies and always have a part of the credit for themselves, so two ends that send to each other
// cannot lock up; what waits here is bounded (new bodies by `room`, replies by MAX_REPLY_BYTES); a peer over its credit is told on.
import type { Lane } from '@skerry/gen/skerry/link/v1/link';
import { createJoiner, split } from './chunk.js';
import { frameCost } from './cost.js';
import { createCredit } from './credit.js';
import { Fifo } from './fifo.js';
import { fits } from './lanes.js';
import { INITIAL_CREDIT } from './limits.js';
import type { Body, Channel } from './types.js';

export interface LanePortOptions {
  readonly lane: Lane;
  readonly node: string;
  /** A whole body came; give its cost back with `refund` when it was dealt with. */
  readonly onBody: (body: Body, cost: number) => void;
  /** Credit came: waiting replies left as far as it goes. */
  readonly onRoom: () => void;
  readonly onViolation: (message: string) => void;
}

export interface LanePort {
  attach(channel: Channel): void;
  detach(): void;
  receive(body: Body): void;
  send(body: Body): void;
  /** True when a new Put, batch or the like may be prepared: credit beyond the replies' part, and nothing waits. */
  room(): boolean;
  /** True when replies leave: another request of the peer may be dealt with. */
  replyRoom(): boolean;
  refund(bytes: number): void;
}

/** The part of the first grant that new bodies leave to replies. */
const REPLY_SHARE = 1 / 4;
/** Credit goes back in pieces of this part of the grant; smaller than the replies' share, or two ends could wait for each other. */
const REFUND_SHARE = 1 / 8;
/** Waiting replies in bytes at which no more of the peer's entries are dealt with, and at which it has asked for too much. */
const FEW_REPLY_BYTES = 256 * 1024;
const MAX_REPLY_BYTES = 4 * 1024 * 1024;

/** What this side begins by itself, and therefore holds back while there is no room. Everything else answers the peer. */
const NEWS: ReadonlySet<Body['$case']> = new Set(['put', 'delete', 'logEntries', 'callRequest', 'callData']);

export function createLanePort(options: LanePortOptions): LanePort {
  const { lane, node, onBody, onRoom, onViolation } = options;
  const joiner = createJoiner(lane);
  const replies = new Fifo<Body>();
  const news = new Fifo<Body>();
  let channel: Channel | undefined;
  /** What the peer lets us send, and what we let it send. */
  let sending = createCredit();
  let receiving = createCredit();
  let reserve = 0;
  let joinedCost = 0;
  let refundable = 0;
  let replyBytes = 0;

  function attach(to: Channel): void {
    reset();
    channel = to;
    grant(INITIAL_CREDIT);
  }

  function reset(): void {
    channel = undefined;
    replies.clear();
    news.clear();
    joiner.reset();
    sending = createCredit();
    receiving = createCredit();
    reserve = 0;
    joinedCost = 0;
    refundable = 0;
    replyBytes = 0;
  }

  function grant(bytes: number): void {
    receiving.grant(bytes);
    channel?.send({ lane, node, body: { $case: 'credit', value: { bytes } } });
  }

  function receive(body: Body): void {
    if (!channel) return;
    const problem = body.$case === 'credit' ? sending.grant(body.value.bytes) : receiving.spend(body);
    if (problem) {
      onViolation(problem);
      return;
    }
    if (body.$case === 'credit') {
      takeCredit(body.value.bytes);
      return;
    }
    joinedCost += frameCost(body);
    const joined = joiner.take(body);
    if (joined.kind === 'more') return;
    if (joined.kind === 'violation') {
      onViolation(joined.message);
      return;
    }
    if (!fits(lane, joined.body)) {
      onViolation(`a ${joined.body.$case} does not belong on lane ${lane}`);
      return;
    }
    const cost = joinedCost;
    joinedCost = 0;
    onBody(joined.body, cost);
  }

  function takeCredit(bytes: number): void {
    if (reserve === 0) reserve = bytes * REPLY_SHARE;
    flush();
    onRoom();
  }

  function send(body: Body): void {
    if (!channel) return;
    if (NEWS.has(body.$case)) news.push(body);
    else {
      replies.push(body);
      replyBytes += frameCost(body);
    }
    flush();
    if (replyBytes > MAX_REPLY_BYTES) onViolation('more was asked for than credit was granted to answer');
  }

  function flush(): void {
    while (channel && sending.available() > 0) {
      const reply = replies.shift();
      if (reply) replyBytes -= frameCost(reply);
      const body = reply ?? news.shift();
      if (!body) return;
      for (const piece of split(lane, body)) {
        sending.spend(piece);
        channel.send({ lane, node, body: piece });
      }
    }
  }

  function refund(bytes: number): void {
    if (!channel) return;
    refundable += bytes;
    if (refundable < INITIAL_CREDIT * REFUND_SHARE) return;
    const back = refundable;
    refundable = 0;
    grant(back);
  }

  function room(): boolean {
    return news.length === 0 && sending.available() > reserve;
  }

  return {
    attach,
    detach: reset,
    receive,
    send,
    room,
    replyRoom: () => replyBytes < FEW_REPLY_BYTES,
    refund,
  };
}
