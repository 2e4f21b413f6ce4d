// What the bridge has done since it started. Each bound has its counter here.

export interface Counters {
  /** Messages of clients, and answers and notices published to them. */
  received: number;
  published: number;
  /** Messages that clients may not publish. */
  refused: number;
  /** Connections that were refused or cut for what they did. */
  refusedClients: number;
  /** Messages without a promise (QoS 0) that came while the twin was away. */
  lostAtQos0: number;
  /** QoS 1 messages that were not acknowledged because they could not be stored: their clients send them again. */
  unacknowledged: number;
  /** Answers that found their queue full. */
  droppedAnswers: number;
  /** Messages that a session away could not keep, and sessions that had to make room. */
  droppedForSessions: number;
  evictedSessions: number;
  /** Retained messages that found no room. */
  droppedRetained: number;
  refusedSubscriptions: number;
}

export function createCounters(): Counters {
  return {
    received: 0,
    published: 0,
    refused: 0,
    refusedClients: 0,
    lostAtQos0: 0,
    unacknowledged: 0,
    droppedAnswers: 0,
    droppedForSessions: 0,
    evictedSessions: 0,
    droppedRetained: 0,
    refusedSubscriptions: 0,
  };
}
