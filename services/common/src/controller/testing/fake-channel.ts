// A channel whose other side is the test: it gives envelopes and sees what was sent.
import { Welcome } from '@skerry/gen/skerry/link/v1/link';
import { completeHello } from '../../link/handshake.js';
import type { Channel, ChannelEnd, Envelope } from '../../link/types.js';

export interface FakeChannel extends Channel {
  readonly sent: Envelope[];
  give(envelope: Envelope): void;
  end(end: ChannelEnd): void;
}

export function createFakeChannel(): FakeChannel {
  let onEnvelope: (envelope: Envelope) => void = () => {};
  let onEnd: (end: ChannelEnd) => void = () => {};
  let ended = false;
  const end = (how: ChannelEnd): void => {
    if (ended) return;
    ended = true;
    onEnd(how);
  };
  const sent: Envelope[] = [];
  return {
    hello: completeHello({}),
    welcome: Welcome.fromPartial({ hubInstance: 'hub-0' }),
    sent,
    send: (envelope) => void sent.push(envelope),
    pendingBytes: () => 0,
    hasRoom: () => true,
    awaitRoom: () => {},
    onEnvelope: (listener) => {
      onEnvelope = listener;
    },
    onEnd: (listener) => {
      onEnd = listener;
    },
    start: () => {},
    close: () => end({ kind: 'closed' }),
    stats: () => ({ sent: sent.length, received: 0, inFlightBytes: 0, queuedBytes: 0, windowBytes: 0, stale: 0 }),
    give: (envelope) => onEnvelope(envelope),
    end,
  };
}
