// Bodies over 32 KiB travel in pieces of their encoding, so that no lane holds up the others for long. Only the two ends of a lane session
// cut and join; the hub passes pieces on.
// Invariants: a joined body is at most MAX_BODY_BYTES; pieces of two bodies never mix on one lane; a body in pieces is not one that fits whole.
import { Frame, type Lane } from '@skerry/gen/skerry/link/v1/link';
import { messageOf } from '../errors.js';
import { asBuffer } from './bytes.js';
import { encodedBound } from './cost.js';
import { CHUNK_BYTES, MAX_BODY_BYTES } from './limits.js';
import type { Body } from './types.js';

/** The frames that carry a body: itself, or its pieces. */
export function split(lane: Lane, body: Body): readonly Body[] {
  if (encodedBound(body) <= CHUNK_BYTES) return [body];
  const encoded = Frame.encode({ seq: 0n, ack: 0n, lane, node: '', body }).finish();
  if (encoded.length <= CHUNK_BYTES) return [body];
  const pieces: Body[] = [];
  for (let at = 0; at < encoded.length; at += CHUNK_BYTES) {
    const data = asBuffer(encoded.subarray(at, at + CHUNK_BYTES));
    pieces.push({ $case: 'chunk', value: { data, last: at + CHUNK_BYTES >= encoded.length } });
  }
  return pieces;
}

export type Joined =
  | { readonly kind: 'more' }
  | { readonly kind: 'body'; readonly body: Body; readonly pieces: number }
  | { readonly kind: 'violation'; readonly message: string };

/** Joins the pieces of one lane; a body that came whole passes through. */
export interface Joiner {
  take(body: Body): Joined;
  reset(): void;
}

export function createJoiner(lane: Lane): Joiner {
  let pieces: Uint8Array[] = [];
  let bytes = 0;

  function reset(): void {
    pieces = [];
    bytes = 0;
  }

  function take(body: Body): Joined {
    if (body.$case !== 'chunk') {
      if (pieces.length > 0) return violation(`a ${body.$case} came between the pieces of a body`);
      return { kind: 'body', body, pieces: 1 };
    }
    const { data, last } = body.value;
    bytes += data.length;
    if (data.length === 0 || bytes > MAX_BODY_BYTES)
      return violation(`a chunked body is empty or over ${MAX_BODY_BYTES}`);
    // Kept until the whole is there: a view would keep the network's buffer alive.
    pieces.push(Uint8Array.from(data));
    if (!last) return { kind: 'more' };
    const count = pieces.length;
    const encoded = Buffer.concat(pieces, bytes);
    reset();
    return decode(lane, encoded, count);
  }

  return { take, reset };
}

function decode(lane: Lane, encoded: Uint8Array, pieces: number): Joined {
  try {
    const frame = Frame.decode(encoded);
    if (frame.lane !== lane || frame.body === undefined || frame.body.$case === 'chunk')
      return violation('the pieces of a body make none for their lane');
    return { kind: 'body', body: frame.body, pieces };
  } catch (error) {
    return violation(`the pieces of a body cannot be decoded: ${messageOf(error)}`);
  }
}

function violation(message: string): Joined {
  return { kind: 'violation', message };
}
