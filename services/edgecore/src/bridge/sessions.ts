// What the broker remembers across connections and restarts: durable sessions, the messages that wait for them, retained messages.
// Invariants: all of it is bounded, in number and bytes, and what does not fit is dropped and counted; the session that was away longest makes
// room for a new one; a message of a $ topic never waits for a subscription that begins with a wildcard (MQTT 3.1.1 section 4.7.2).
import type { Readable } from 'node:stream';
import type { Aedes, PublishPacket } from 'aedes';
import AsyncLevelPersistence, {
  type ClientRef,
  type StoredPacket,
  type StoredSubscription,
} from 'aedes-persistence-level/asyncPersistence.js';
import type { ClassicLevel } from 'classic-level';
import type { Counters } from './counters.js';
import { NOWHERE } from './topics.js';

export interface SessionBounds {
  readonly sessions: number;
  /** Messages that wait for one session. */
  readonly messagesPerSession: number;
  /** Bytes that wait for all sessions. */
  readonly bytes: number;
  readonly retained: number;
  readonly retainedBytes: number;
}

export const SESSION_BOUNDS: SessionBounds = {
  sessions: 1_000,
  messagesPerSession: 1_000,
  bytes: 64 * 1024 * 1024,
  retained: 1_000,
  retainedBytes: 16 * 1024 * 1024,
};

export interface SessionOptions {
  readonly db: ClassicLevel<string, Buffer>;
  readonly bounds: SessionBounds;
  readonly counters: Counters;
  readonly nowMs: () => number;
  /** True while the client is connected: such a session never makes room. */
  readonly isConnected: (clientId: string) => boolean;
}

/** Keys beside those of aedes-persistence-level, which all begin with another word. */
const SEEN = 'skerry-seen:';
const GENERATION = 'skerry-generation';

export class BoundedSessions extends AsyncLevelPersistence {
  readonly #options: SessionOptions;
  /** When each durable session was last seen, the longest away first. */
  readonly #seen = new Map<string, number>();
  readonly #queued = new Map<string, number>();
  #queuedBytes = 0;
  readonly #retained = new Map<string, number>();
  #retainedBytes = 0;

  constructor(options: SessionOptions) {
    super(options.db);
    this.#options = options;
  }

  /** Called by the broker when it starts. */
  override async setup(broker: Aedes): Promise<void> {
    await super.setup(broker);
    const { db } = this.#options;
    const found = await db.iterator<string, string>({ gte: SEEN, lt: `${SEEN}\uffff`, valueEncoding: 'utf8' }).all();
    for (const [key, ms] of found.sort((a, b) => Number(a[1]) - Number(b[1]))) {
      const id = key.slice(SEEN.length);
      this.#seen.set(id, Number(ms));
      for await (const packet of this.outgoingStream({ id }) as AsyncIterable<StoredPacket>) this.#count(id, packet);
    }
    for await (const packet of this.createRetainedStreamCombi(['#']) as AsyncIterable<StoredPacket>) {
      this.#setRetained(packet.topic, bytesOf(packet));
    }
  }

  /** Makes room for a durable session and remembers that it was seen. False when every session is connected. */
  async admit(id: string): Promise<boolean> {
    if (!this.#seen.has(id) && this.#seen.size >= this.#options.bounds.sessions && !(await this.#evictOne()))
      return false;
    await this.touch(id);
    return true;
  }

  async touch(id: string): Promise<void> {
    const nowMs = this.#options.nowMs();
    this.#seen.delete(id);
    this.#seen.set(id, nowMs);
    await this.#options.db.put<string, string>(SEEN + id, String(nowMs), { valueEncoding: 'utf8' });
  }

  /** The client came with a clean session: what it left is removed by the broker. */
  async forget(id: string): Promise<void> {
    if (this.#seen.delete(id)) await this.#options.db.del(SEEN + id);
  }

  override async subscriptionsByTopic(topic: string): Promise<StoredSubscription[]> {
    if (topic === NOWHERE) return [];
    const subscriptions = await super.subscriptionsByTopic(topic);
    return topic.startsWith('$') ? subscriptions.filter((s) => !/^[+#]/.test(s.topic)) : subscriptions;
  }

  override async outgoingEnqueueCombi(
    subscriptions: readonly StoredSubscription[],
    packet: PublishPacket,
  ): Promise<unknown> {
    const { bounds, counters } = this.#options;
    const bytes = bytesOf(packet);
    const kept = subscriptions.filter(({ clientId }) => {
      const fits =
        (this.#queued.get(clientId) ?? 0) < bounds.messagesPerSession && this.#queuedBytes + bytes <= bounds.bytes;
      if (fits) this.#count(clientId, packet);
      else counters.droppedForSessions += 1;
      return fits;
    });
    return super.outgoingEnqueueCombi(kept, packet);
  }

  /** A message that was not kept for its session is still delivered to a client that is there. */
  override async outgoingUpdate(client: ClientRef, packet: object): Promise<void> {
    try {
      await super.outgoingUpdate(client, packet);
    } catch (error) {
      if (!(error instanceof Error && error.message === 'no such packet')) throw error;
    }
  }

  override async outgoingClearMessageId(client: ClientRef, packet: object): Promise<StoredPacket | undefined> {
    // Asked for every acknowledgement of every subscriber: most have nothing stored.
    if (!this.#queued.has(client.id)) return undefined;
    const cleared = await super.outgoingClearMessageId(client, packet);
    if (cleared) this.#uncount(client.id, cleared);
    return cleared;
  }

  override async storeRetained(packet: PublishPacket): Promise<void> {
    const { bounds, counters } = this.#options;
    const bytes = packet.payload.length === 0 ? 0 : bytesOf(packet);
    const old = this.#retained.get(packet.topic);
    const count = this.#retained.size + (old === undefined ? 1 : 0);
    if (bytes > 0 && (count > bounds.retained || this.#retainedBytes - (old ?? 0) + bytes > bounds.retainedBytes)) {
      counters.droppedRetained += 1;
      return;
    }
    this.#setRetained(packet.topic, bytes);
    await super.storeRetained(packet);
  }

  /** The broker does not listen for errors of this stream: one would end the process. Its subscriber goes without retained messages. */
  override createRetainedStreamCombi(patterns: readonly string[]): Readable {
    return super.createRetainedStreamCombi(patterns).on('error', () => {});
  }

  /** The broker does not handle a rejection, which a client that connects while the database closes would cause. */
  override async delWill(client: ClientRef): Promise<unknown> {
    try {
      return await super.delWill(client);
    } catch (error) {
      if (this.#options.db.status === 'open') throw error;
      return undefined;
    }
  }

  async #evictOne(): Promise<boolean> {
    for (const id of this.#seen.keys()) {
      if (this.#options.isConnected(id)) continue;
      this.#options.counters.evictedSessions += 1;
      await this.cleanSubscriptions({ id });
      await this.cleanIncoming({ id });
      await this.#clearOutgoing(id);
      await this.forget(id);
      return true;
    }
    return false;
  }

  /** Keys as aedes-persistence-level makes them. */
  async #clearOutgoing(id: string): Promise<void> {
    for await (const packet of this.outgoingStream({ id }) as AsyncIterable<StoredPacket>) this.#uncount(id, packet);
    for (const prefix of ['outgoing', 'outgoing-id']) {
      const from = `${prefix}:${encodeURIComponent(id)}`;
      await this.#options.db.clear({ gte: `${from}:`, lt: `${from};` });
    }
  }

  #count(id: string, packet: Sized): void {
    this.#queued.set(id, (this.#queued.get(id) ?? 0) + 1);
    this.#queuedBytes += bytesOf(packet);
  }

  #uncount(id: string, packet: Sized): void {
    const left = (this.#queued.get(id) ?? 0) - 1;
    if (left > 0) this.#queued.set(id, left);
    else this.#queued.delete(id);
    this.#queuedBytes -= bytesOf(packet);
  }

  #setRetained(topic: string, bytes: number): void {
    this.#retainedBytes += bytes - (this.#retained.get(topic) ?? 0);
    if (bytes === 0) this.#retained.delete(topic);
    else this.#retained.set(topic, bytes);
  }
}

interface Sized {
  readonly topic: string;
  readonly payload: string | Buffer;
}

function bytesOf({ topic, payload }: Sized): number {
  return topic.length + payload.length;
}

/** A number that rises with every start: waiting messages are ordered by the id of the broker that queued them. */
export async function nextGeneration(db: ClassicLevel<string, Buffer>): Promise<number> {
  const last = await db.get<string, string>(GENERATION, { valueEncoding: 'utf8' });
  const next = Number(last ?? 0) + 1;
  await db.put<string, string>(GENERATION, String(next), { valueEncoding: 'utf8', sync: true });
  return next;
}
