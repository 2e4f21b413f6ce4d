// Bodies over 32 KiB travel in pieces of their encoding, so that no lane holds up the others for long. Only the two ends of a lane session
// cut and join; the hub passes pieces on.
// Invariants: a joined body is at most MAX_BODY_BYTES; pieces of two bodies never mix on one lane; a body in pieces is not one that fits whole.
import { Frame, type Lane } from '@skerry/gen/skerry/link/v1/link';
import { messageOf } from '../errors.js';
import { asBuffer } from './bytes.js';
import { encodedBound } from './cost.js';
import { CHUNK_BYTES, MAX_BODY_BYTES } from './limits.js';
import type { Body } from './types.js';

/** True when a body surely needs no pieces; cheap. */
export function fitsWhole(body: Body): boolean {
  return encodedBound(body) <= CHUNK_BYTES;
}

/** The frames that carry a body: itself, or its pieces. */
export function split(lane: Lane, body: Body): readonly Body[] {
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
  | { readonly kind: 'body'; readonly body: Body }
  | { readonly kind: 'violation'; readonly message: string };

/** Joins the pieces of one lane; a body that came whole passes through. */
export class Joiner {
  readonly #lane: Lane;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(lane: Lane) {
    this.#lane = lane;
  }

  take(body: Body): Joined {
    if (body.$case !== 'chunk') {
      if (this.#pieces.length > 0) return violation(`a ${body.$case} came between the pieces of a body`);
      return { kind: 'body', body };
    }
    const { data, last } = body.value;
    this.#bytes += data.length;
    if (data.length === 0 || this.#bytes > MAX_BODY_BYTES)
      return violation(`a chunked body is empty or over ${MAX_BODY_BYTES}`);
    this.#pieces.push(data);
    if (!last) return { kind: 'more' };
    const encoded = Buffer.concat(this.#pieces, this.#bytes);
    this.reset();
    return decode(this.#lane, encoded);
  }

  reset(): void {
    this.#pieces = [];
    this.#bytes = 0;
  }
}

function decode(lane: Lane, encoded: Uint8Array): Joined {
  try {
    const frame = Frame.decode(encoded);
    if (frame.lane !== lane || frame.body === undefined || frame.body.$case === 'chunk')
      return violation('the pieces of a body make none for their lane');
    return { kind: 'body', body: frame.body };
  } catch (error) {
    return violation(`the pieces of a body cannot be decoded: ${messageOf(error)}`);
  }
}

function violation(message: string): Joined {
  return { kind: 'violation', message };
}
