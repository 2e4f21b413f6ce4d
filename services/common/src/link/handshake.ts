// The first frame each way, as data: what Hello and Welcome say and when a Hello is not understood.
import { type Frame, type Goodbye, Goodbye_Reason, Hello, Lane, Welcome } from '@skerry/gen/skerry/link/v1/link';
import {
  ENCODING_JSON,
  HEARTBEAT_INTERVAL_MS,
  MAX_PAYLOAD_BYTES,
  MIN_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
} from './limits.js';
import type { Body } from './types.js';

/** A frame of the handshake or the last one: on the control lane, about no node. */
export function controlFrame(seq: number, ack: number, body: Body): Frame {
  return { seq: BigInt(seq), ack: BigInt(ack), lane: Lane.LANE_CONTROL, node: '', body };
}

/** Fills in what this version speaks. */
export function completeHello(hello: Partial<Hello>): Hello {
  return Hello.fromPartial({
    protocolVersion: PROTOCOL_VERSION,
    minProtocolVersion: MIN_PROTOCOL_VERSION,
    encodings: [ENCODING_JSON],
    ...hello,
  });
}

/** Fills in what both speak. */
export function completeWelcome(hello: Hello, welcome: Partial<Welcome>, nowMs: number): Welcome {
  return Welcome.fromPartial({
    protocolVersion: Math.min(PROTOCOL_VERSION, hello.protocolVersion),
    encoding: ENCODING_JSON,
    cloudTimeUnixMs: BigInt(Math.trunc(nowMs)),
    heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
    maxPayloadBytes: MAX_PAYLOAD_BYTES,
    ...welcome,
  });
}

export function completeGoodbye(goodbye: Partial<Goodbye>): Goodbye {
  return { reason: Goodbye_Reason.REASON_SHUTTING_DOWN, message: '', retryAfterMs: 0, knownGeneration: 0n, ...goodbye };
}

/** What is wrong with a Hello, as the Goodbye that answers it. */
export function helloProblem(hello: Hello): Goodbye | undefined {
  if (hello.minProtocolVersion > PROTOCOL_VERSION || hello.protocolVersion < MIN_PROTOCOL_VERSION) {
    return completeGoodbye({
      reason: Goodbye_Reason.REASON_UNSUPPORTED_VERSION,
      message: `protocol versions ${hello.minProtocolVersion} to ${hello.protocolVersion} were offered, this side speaks ${MIN_PROTOCOL_VERSION} to ${PROTOCOL_VERSION}`,
    });
  }
  if (!hello.encodings.includes(ENCODING_JSON)) {
    return completeGoodbye({
      reason: Goodbye_Reason.REASON_UNSUPPORTED_VERSION,
      message: `none of the offered payload encodings is ${ENCODING_JSON}`,
    });
  }
  if (!hello.role) {
    return completeGoodbye({ reason: Goodbye_Reason.REASON_PROTOCOL_ERROR, message: 'Hello names no role' });
  }
  return undefined;
}
