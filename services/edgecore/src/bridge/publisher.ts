// Publishes answers and notices on the broker. Invariants: those of one lane (a device, the node) leave in order, one after the other; what waits is
// bounded, and what exceeds the bound is dropped and counted, whole answers at a time: the state is safe and can be asked for again.
import type { PublishPacket } from 'aedes';
import type { Counters } from './counters.js';
import type { OccasionalLog } from './occasional-log.js';
import type { Publication } from './publications.js';

const MAX_WAITING = 20_000;

export interface Publisher {
  publish(lane: string, publications: readonly Publication[]): void;
}

export interface PublisherOptions {
  /** Calls back when the message was handed to its subscribers. */
  readonly send: (packet: PublishPacket, done: (error?: Error) => void) => void;
  readonly counters: Counters;
  readonly log: OccasionalLog;
}

export function createPublisher({ send, counters, log }: PublisherOptions): Publisher {
  /** A lane is there as long as something of it is under way. */
  const lanes = new Map<string, Publication[]>();
  let waiting = 0;

  function publish(lane: string, publications: readonly Publication[]): void {
    if (publications.length === 0) return;
    if (waiting + publications.length > MAX_WAITING) {
      counters.droppedAnswers += publications.length;
      log.warn('answers dropped: subscribers are too slow', { waiting });
      return;
    }
    waiting += publications.length;
    const queue = lanes.get(lane);
    if (queue) queue.push(...publications);
    else {
      lanes.set(lane, [...publications]);
      next(lane);
    }
  }

  function next(lane: string): void {
    const publication = lanes.get(lane)?.shift();
    if (!publication) {
      lanes.delete(lane);
      return;
    }
    send(toPacket(publication), (error) => {
      waiting -= 1;
      if (error) log.warn('an answer could not be published', { topic: publication.topic, error });
      else counters.published += 1;
      next(lane);
    });
  }

  return { publish };
}

/** QoS 1 and not retained, as KubeEdge publishes. */
function toPacket({ topic, payload }: Publication): PublishPacket {
  return { cmd: 'publish', topic, payload: Buffer.from(payload), qos: 1, retain: false, dup: false };
}
