// Decides about every message that a client publishes, before the broker acknowledges it. Invariants: a message for the twin is acknowledged
// (PUBACK) after the twin has it on disk, or not at all: then the connection is closed, so that a QoS 1 client sends it again; acknowledgements
// of a client come in the order of its messages; what a client may not publish goes to nobody.
import { randomUUID } from 'node:crypto';
import type { Clock } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import type { ExchangeResponse } from '@skerry/gen/skerry/edge/v1/twin';
import type { AedesOptions, Client, PublishPacket } from 'aedes';
import type { Counters } from './counters.js';
import type { OccasionalLog } from './occasional-log.js';
import { answerPublications, errorPublication, noticePublications, type Origin, type Writing } from './publications.js';
import type { Publisher } from './publisher.js';
import { parseRequest } from './request.js';
import { NOWHERE, parseTopic, type Topic } from './topics.js';
import type { TwinLink } from './twin-link.js';

type AuthorizePublish = NonNullable<AedesOptions['authorizePublish']>;

/** Undefined: acknowledge. An error: close the connection instead. */
type Verdict = Error | undefined;

export interface GateOptions {
  readonly node: string;
  readonly link: TwinLink;
  readonly publisher: Publisher;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly log: OccasionalLog;
}

export interface Gate {
  /** For aedes, which asks it before each PUBACK and before it publishes a will. */
  readonly authorizePublish: AuthorizePublish;
  /** What the twin says unasked. */
  notice(response: ExchangeResponse): void;
}

/** The node's own messages keep their order among themselves. */
const NODE_LANE = '';

export function createGate(options: GateOptions): Gate {
  const { node, link, publisher, counters, clock, log } = options;
  const tails = new WeakMap<Client, Promise<void>>();

  const authorizePublish: AuthorizePublish = (client, packet, callback) => {
    counters.received += 1;
    const verdict = decide(client, packet);
    const before = client ? tails.get(client) : undefined;
    if (verdict === undefined && before === undefined) {
      callback(null);
      return;
    }
    const tail: Promise<void> = Promise.all([verdict, before]).then(([decided]) => {
      if (client && tails.get(client) === tail) tails.delete(client);
      callback(decided ?? null);
    });
    if (client) tails.set(client, tail);
  };

  /** Undefined when there is nothing to wait for. */
  function decide(client: Client | null, packet: PublishPacket): Promise<Verdict> | undefined {
    const topic = parseTopic(packet.topic);
    if (topic.kind === 'plain') return undefined;
    // Requests are for now: kept ones would be sent to subscribers for ever.
    packet.retain = false;
    if (topic.kind !== 'refused') return ask(originOf(topic), packet);
    counters.refused += 1;
    log.warn('message refused', { client: client?.id, topic: packet.topic.slice(0, 200), reason: topic.reason });
    packet.topic = NOWHERE;
    packet.payload = Buffer.alloc(0);
    return undefined;
  }

  async function ask(origin: Origin, packet: PublishPacket): Promise<Verdict> {
    const payload = Buffer.from(packet.payload);
    const parsed = parseRequest(origin.asked, payload);
    const lane = laneOf(origin);
    if (parsed.kind === 'refused') {
      publisher.publish(lane, [
        errorPublication(origin, parsed.code, parsed.reason, writing(parsed.eventId, clock.nowMs())),
      ]);
      return undefined;
    }
    if (origin.asked === 'membership/get' && origin.node !== node) {
      const reason = `this is node "${node}"`;
      publisher.publish(lane, [errorPublication(origin, 404, reason, writing(parsed.eventId, clock.nowMs()))]);
      return undefined;
    }
    if (packet.qos === 0 && !link.connected()) {
      counters.lostAtQos0 += 1;
      return undefined;
    }
    try {
      const request = { device: origin.device, eventId: parsed.eventId, request: parsed.body };
      return answered(origin, packet, await link.request(request, payload.byteLength));
    } catch (error) {
      return unanswered(packet, messageOf(error));
    }
  }

  function answered(
    origin: Origin,
    packet: PublishPacket,
    { result, eventId, timestampMs }: ExchangeResponse,
  ): Verdict {
    if (!result) return unanswered(packet, 'the twin gave an empty answer');
    publisher.publish(laneOf(origin), answerPublications(origin, result, writing(eventId, Number(timestampMs))));
    const stored = result.$case !== 'error' || result.value.code !== 500;
    return stored ? undefined : unanswered(packet, result.value.reason);
  }

  function unanswered(packet: PublishPacket, reason: string): Verdict {
    log.warn('message not stored', { topic: packet.topic.slice(0, 200), qos: packet.qos, reason });
    if (packet.qos === 0) {
      counters.lostAtQos0 += 1;
      return undefined;
    }
    counters.unacknowledged += 1;
    return new Error(`not stored: ${reason}`);
  }

  function notice(response: ExchangeResponse): void {
    const { device } = response;
    const lane = device ? `${device.namespace}/${device.name}` : NODE_LANE;
    publisher.publish(lane, noticePublications(node, response, randomUUID));
  }

  return { authorizePublish, notice };
}

function originOf(topic: Extract<Topic, { kind: 'device' | 'membership' }>): Origin {
  if (topic.kind === 'device') return { device: topic.device, asked: topic.asked, node: '' };
  return { device: { namespace: '', name: '' }, asked: 'membership/get', node: topic.node };
}

function laneOf({ device, asked }: Origin): string {
  return asked === 'membership/get' ? NODE_LANE : `${device.namespace}/${device.name}`;
}

function writing(eventId: string, timestampMs: number): Writing {
  return { eventId, timestampMs: Math.trunc(timestampMs), newEventId: randomUUID };
}
