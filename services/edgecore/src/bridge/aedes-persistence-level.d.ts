// The part of aedes-persistence-level that the bridge builds on; the package brings no types.
declare module 'aedes-persistence-level/asyncPersistence.js' {
  import type { Readable } from 'node:stream';
  import type { Aedes, PublishPacket, Subscription } from 'aedes';
  import type { ClassicLevel } from 'classic-level';

  export interface ClientRef {
    readonly id: string;
  }

  export interface StoredSubscription {
    readonly clientId: string;
    readonly topic: string;
    readonly qos: 0 | 1 | 2;
  }

  export interface StoredPacket {
    readonly topic: string;
    readonly payload: Buffer;
  }

  export default class AsyncLevelPersistence {
    constructor(db: ClassicLevel<string, Buffer>);
    setup(broker: Aedes): Promise<void>;
    storeRetained(packet: PublishPacket): Promise<void>;
    createRetainedStreamCombi(patterns: readonly string[]): Readable;
    addSubscriptions(client: ClientRef, subscriptions: readonly Subscription[]): Promise<void>;
    subscriptionsByTopic(topic: string): Promise<StoredSubscription[]>;
    cleanSubscriptions(client: ClientRef): Promise<void>;
    outgoingEnqueueCombi(subscriptions: readonly StoredSubscription[], packet: PublishPacket): Promise<unknown>;
    outgoingUpdate(client: ClientRef, packet: object): Promise<void>;
    outgoingClearMessageId(client: ClientRef, packet: object): Promise<StoredPacket | undefined>;
    outgoingStream(client: ClientRef): Readable;
    cleanIncoming(client: ClientRef): Promise<void>;
    delWill(client: ClientRef): Promise<unknown>;
  }
}
