// One lane of a lane session: what may be sent under the peer's credit, and the credit that is given to the peer.
// Invariants: replies leave before new bodies and always have a part of the credit for themselves, so two ends that send to each other
// cannot lock up; what waits here is bounded (new bodies by `room`, replies by MAX_REPLY_BYTES); a peer over its credit is told on.
// On a congested channel only replies and grants leave: a channel is shared by the sessions of many nodes.
import type { Lane } from '@skerry/gen/skerry/link/v1/link';
import { fitsWhole, Joiner, split } from './chunk.js';
import { frameCost } from './cost.js';
import { Credit } from './credit.js';
import { Fifo } from './fifo.js';
import { fits } from './lanes.js';
import { INITIAL_CREDIT } from './limits.js';
import type { Body, Channel } from './types.js';

export interface LanePortOptions {
  readonly lane: Lane;
  readonly node: string;
  /** A whole body came; give its cost back with `refund` when it was dealt with. */
  readonly onBody: (body: Body, cost: number) => void;
  /** Credit came, or the channel is no longer congested: waiting replies left as far as it goes. */
  readonly onRoom: () => void;
  readonly onViolation: (message: string) => void;
}

export interface LanePort {
  attach(channel: Channel): void;
  detach(): void;
  receive(body: Body): void;
  send(body: Body): void;
  /**
   * True when a new Put, batch or the like may be prepared: credit beyond the replies' part, nothing waits, and the channel is not congested.
   * `onRoom` is called when it may be.
   */
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

/** What this side begins by itself, in order, and holds back while there is no room. Everything else answers the peer. */
const NEWS: ReadonlySet<Body['$case']> = new Set([
  'put',
  'delete',
  'logEntries',
  'callRequest',
  'callData',
  'callCancel',
]);

export function createLanePort(options: LanePortOptions): LanePort {
  return new CreditedPort(options);
}

class CreditedPort implements LanePort {
  readonly #options: LanePortOptions;
  readonly #joiner: Joiner;
  readonly #replies = new Fifo<Body>();
  readonly #news = new Fifo<Body>();
  #channel: Channel | undefined;
  /** What the peer lets us send, and what we let it send. */
  #sending = new Credit();
  #receiving = new Credit();
  #reserve = 0;
  #joinedCost = 0;
  #refundable = 0;
  #replyBytes = 0;
  /** May come late, when nothing is attached: then nothing has credit. */
  readonly #onChannelRoom = (): void => {
    this.#flush();
    this.#options.onRoom();
  };

  constructor(options: LanePortOptions) {
    this.#options = options;
    this.#joiner = new Joiner(options.lane);
  }

  attach(channel: Channel): void {
    this.detach();
    this.#channel = channel;
    this.#grant(INITIAL_CREDIT);
  }

  detach(): void {
    this.#channel = undefined;
    this.#replies.clear();
    this.#news.clear();
    this.#joiner.reset();
    this.#sending = new Credit();
    this.#receiving = new Credit();
    this.#reserve = 0;
    this.#joinedCost = 0;
    this.#refundable = 0;
    this.#replyBytes = 0;
  }

  receive(body: Body): void {
    if (!this.#channel) return;
    if (body.$case === 'credit') {
      this.#takeCredit(body.value.bytes);
      return;
    }
    const cost = frameCost(body);
    const problem = this.#receiving.spend(body, cost);
    if (problem) this.#options.onViolation(problem);
    else if (body.$case === 'chunk' || this.#joinedCost > 0) this.#join(body, cost);
    else this.#take(body, cost);
  }

  #join(body: Body, cost: number): void {
    this.#joinedCost += cost;
    const joined = this.#joiner.take(body);
    if (joined.kind === 'more') return;
    if (joined.kind === 'violation') {
      this.#options.onViolation(joined.message);
      return;
    }
    const whole = this.#joinedCost;
    this.#joinedCost = 0;
    this.#take(joined.body, whole);
  }

  #take(body: Body, cost: number): void {
    const { lane, onBody, onViolation } = this.#options;
    if (fits(lane, body)) onBody(body, cost);
    else onViolation(`a ${body.$case} does not belong on lane ${lane}`);
  }

  #takeCredit(bytes: number): void {
    const problem = this.#sending.grant(bytes);
    if (problem) {
      this.#options.onViolation(problem);
      return;
    }
    if (this.#reserve === 0) this.#reserve = bytes * REPLY_SHARE;
    this.#flush();
    this.#options.onRoom();
  }

  send(body: Body): void {
    if (!this.#channel) return;
    if (NEWS.has(body.$case)) this.#news.push(body);
    else {
      this.#replies.push(body);
      this.#replyBytes += frameCost(body);
    }
    this.#flush();
    if (this.#replyBytes > MAX_REPLY_BYTES)
      this.#options.onViolation('more was asked for than credit was granted to answer');
  }

  #flush(): void {
    while (this.#sending.available() > 0) {
      const body = this.#nextReply() ?? this.#nextNews();
      if (!body) return;
      if (fitsWhole(body)) this.#sendPiece(body);
      else for (const piece of split(this.#options.lane, body)) this.#sendPiece(piece);
    }
  }

  #nextReply(): Body | undefined {
    const reply = this.#replies.shift();
    if (reply) this.#replyBytes -= frameCost(reply);
    return reply;
  }

  #nextNews(): Body | undefined {
    return this.#news.length > 0 && this.#channelHasRoom() ? this.#news.shift() : undefined;
  }

  /** If not, this port takes its turn among those that wait for it. */
  #channelHasRoom(): boolean {
    if (this.#channel?.hasRoom()) return true;
    this.#channel?.awaitRoom(this.#onChannelRoom);
    return false;
  }

  #sendPiece(body: Body): void {
    const { lane, node } = this.#options;
    this.#sending.spend(body);
    this.#channel?.send({ lane, node, body });
  }

  room(): boolean {
    return this.#news.length === 0 && this.#sending.available() > this.#reserve && this.#channelHasRoom();
  }

  replyRoom(): boolean {
    return this.#replyBytes < FEW_REPLY_BYTES;
  }

  refund(bytes: number): void {
    if (!this.#channel) return;
    this.#refundable += bytes;
    if (this.#refundable < INITIAL_CREDIT * REFUND_SHARE) return;
    const back = this.#refundable;
    this.#refundable = 0;
    this.#grant(back);
  }

  #grant(bytes: number): void {
    const { lane, node } = this.#options;
    this.#receiving.grant(bytes);
    this.#channel?.send({ lane, node, body: { $case: 'credit', value: { bytes } } });
  }
}
