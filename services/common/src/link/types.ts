// The contract between the link and those who use it: edgecore, cloudhub and the controllers.
// Two layers. A Channel is one hop's connection: it numbers, acknowledges, bounds and schedules frames. A LaneSession is what one node and
// one controller say to each other through the hub: state both ways, logs, calls. It lives from Attached to Detached and starts by comparing.
import type {
  Controller,
  Done_Outcome,
  EdgeHello,
  Frame,
  Goodbye,
  Hello,
  Lane,
  Welcome,
} from '@skerry/gen/skerry/link/v1/link';

/** What a frame carries, without the hop's numbers. */
export type Body = NonNullable<Frame['body']>;

/** A frame as its user sees it. `node` is empty between edge and hub. */
export interface Envelope {
  readonly lane: Lane;
  readonly node: string;
  readonly body: Body;
}

export type ChannelEnd =
  | { readonly kind: 'goodbye'; readonly goodbye: Goodbye }
  | { readonly kind: 'lost'; readonly reason: string }
  | { readonly kind: 'closed' };

/** One connection of a hop, after its handshake. */
export interface Channel {
  readonly hello: Hello;
  readonly welcome: Welcome;
  /**
   * Queues a frame. It leaves when the in-flight window allows, control frames first, lanes in turn. The lanes' credit bounds what
   * one node may have queued, `hasRoom` what all may; past `maxQueuedBytes` the channel ends with a protocol error.
   */
  send(envelope: Envelope): void;
  /** Bytes queued or in flight. */
  pendingBytes(): number;
  /** False while the channel is congested: no new body is to be begun. Answers and control frames need not ask. */
  hasRoom(): boolean;
  /** Calls `waiter` once when the congestion is over, in the order of asking; one that asked already keeps its turn. Ask only while congested. */
  awaitRoom(waiter: () => void): void;
  /** Takes every received frame, in order. Set once, before `start`; a frame is acknowledged when it returns. */
  onEnvelope(listener: (envelope: Envelope) => void): void;
  /** Called once, when nothing more will arrive. */
  onEnd(listener: (end: ChannelEnd) => void): void;
  /** Begins to deliver. Frames that came before are kept, within the peer's in-flight window. */
  start(): void;
  /** Says why, then ends; nothing is sent afterwards. The end listener is called with `closed` before this returns. */
  close(goodbye: Partial<Goodbye>): void;
  stats(): ChannelStats;
}

/** Counters since the handshake and present sizes in bytes. */
export interface ChannelStats {
  readonly sent: number;
  readonly received: number;
  readonly inFlightBytes: number;
  readonly queuedBytes: number;
  readonly windowBytes: number;
  /** Frames of lane sessions that had ended, dropped before they were sent or delivered. */
  readonly stale: number;
}

export interface Entry {
  readonly version: string;
  readonly payload: Uint8Array;
  /** Known not to exist: payload is empty. */
  readonly absent: boolean;
  /** Keys that the entry needs. */
  readonly references: readonly string[];
}

export interface Settlement {
  readonly outcome: Done_Outcome;
  readonly code: string;
  readonly reason: string;
}

/** The desired content of the other side: what a sender of state knows. */
export interface StateSource {
  /** Every key with its version. Called to compare. */
  versions(): Iterable<readonly [key: string, version: string]>;
  /** The newest entry of a key; undefined when the other side should not have it. */
  read(key: string): Entry | undefined | Promise<Entry | undefined>;
  /** False while absence means nothing: informers not synced, sidecar has not reported. Nothing is compared or deleted until true. */
  complete(): boolean;
  /** Asked before a delete that follows from absence alone: true only when a live read says so (404 or another UID). */
  confirmAbsent(key: string): Promise<boolean>;
  /** The other side answered. Not called for versions that were overtaken meanwhile. */
  settled(key: string, version: string, settlement: Settlement): void;
  /** Down: the owner's epoch, put into every Put, Delete and Synced. Up: 0n. */
  epoch(): bigint;
}

/** Where received state goes. */
export interface StateSink {
  versions(): Iterable<readonly [key: string, version: string]>;
  /** Resolves when durable (edge: fsync; controller: the API took it). A rejected promise is answered as rejected with code Internal. */
  put(key: string, entry: Entry, epoch: bigint): Promise<Settlement>;
  delete(key: string, version: string, epoch: bigint): Promise<Settlement>;
  /** The full set is here. */
  synced(epoch: bigint): Promise<void>;
  /** True while the sink's store is new or was quarantined. */
  unsynced(): boolean;
}

/** A bounded log to be sent: the store keeps it, a cursor is told by DoneThrough. */
export interface LogSource {
  readonly stream: string;
  readonly epoch: string;
  /** Entries with number > after, in order, together at most `maxBytes` (at least one if there is one). */
  read(after: bigint, maxBytes: number): Promise<readonly LogItem[]>;
  /** Everything up to n has taken effect. */
  doneThrough(n: bigint): void;
  /** Number up to which effects are known (persisted or 0). */
  cursor(): bigint;
}

export interface LogItem {
  readonly n: bigint;
  readonly payload: Uint8Array;
  /** Entries from here up to n-1 were dropped by the store's bound; 0n: none. */
  readonly gapFrom: bigint;
}

export interface LogSink {
  /** Last number of this stream and epoch that took effect; 0n when unknown. */
  last(stream: string, epoch: string): bigint;
  /** Resolves when the items took effect. Items at or below `last` are not handed over. */
  append(stream: string, epoch: string, items: readonly LogItem[]): Promise<void>;
}

export interface CallContext {
  readonly method: string;
  readonly signal: AbortSignal;
  /** Payloads of a streaming caller. */
  readonly incoming: AsyncIterable<Uint8Array>;
  /** Streams a payload back; resolves when there is room. */
  write(payload: Uint8Array): Promise<void>;
}

/** Serves calls of the other side. A thrown SkerryError's code becomes the status. */
export type CallHandler = (payload: Uint8Array, context: CallContext) => Promise<Uint8Array>;

export interface LaneSessionStats {
  readonly dirty: number;
  readonly outstanding: number;
  readonly sentPuts: number;
  readonly sentDeletes: number;
  readonly receivedPuts: number;
  readonly rejected: number;
  readonly digestsEqual: number;
  readonly digestsUnequal: number;
  readonly inventories: number;
  /** Entries of an older shard owner: of this side that the other refused, or of the other that this side's sink refused. */
  readonly staleEpochs: number;
  readonly receivedDeletes: number;
  /** Answers to nothing that is under way. */
  readonly strays: number;
  /** Dirty keys that were left to the next comparison because there were too many. */
  readonly forgotten: number;
}

/** One node and one controller, through the hub or directly. Both ends use the same class. */
export interface LaneSession {
  /** The controller (at the edge) or node (at the controller) is there: begin. Ends a session that was still open. */
  attach(channel: Channel, attachment: { readonly shardEpoch: bigint }): void;
  /** The other side is away; calls under way fail with `unavailable`, keys not Done are dirty again. */
  detach(reason: string): void;
  /** Hands over a frame of this session's lanes. */
  receive(envelope: Envelope): void;
  /** The source's key changed or went away: re-read and send when there is room. */
  dirty(key: string): void;
  /** The source became complete or its set changed wholesale: compare again. */
  compare(): void;
  /** A log source has new entries. */
  logGrew(stream: string): void;
  /** Fails with `unavailable` at once when not attached. */
  call(method: string, payload: Uint8Array, options: CallOptions): Promise<Uint8Array>;
  stats(): LaneSessionStats;
  /** Ends the session for good: detaches and lets go of every timer. */
  close(): void;
}

export interface CallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Called for each CallData of the callee. */
  readonly onData?: (payload: Uint8Array) => void;
  /** Streamed to the callee. */
  readonly outgoing?: AsyncIterable<Uint8Array>;
}

export interface LaneSessionOptions {
  /** Which end this is. */
  readonly role: 'edge' | 'controller';
  readonly controller: Controller;
  /** Empty at the edge. */
  readonly node: string;
  readonly source: StateSource;
  readonly sink: StateSink;
  readonly logSources: readonly LogSource[];
  readonly logSink: LogSink | undefined;
  readonly onCall: CallHandler | undefined;
}

/** What cloudhub tells its users about an attached edge. */
export interface AttachedEdge {
  readonly node: string;
  readonly edge: EdgeHello;
}
