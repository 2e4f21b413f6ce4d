// Credit of one lane in one direction: how much more the sender may have under way. Used by both ends of a lane session and, for
// frames that it only passes on, by the hub.
// Invariants: a body is started only while credit is above zero; the pieces of a chunked body follow whatever the credit says, up to
// the longest body; what is granted and unused never exceeds MAX_CREDIT.

import { frameCost } from './cost.js';
import { MAX_BODY_BYTES, MAX_CREDIT, MIN_GRANT } from './limits.js';
import type { Body } from './types.js';

export interface Credit {
  /** Left, in bytes; below zero after a large body. */
  available(): number;
  /** Grants more. Returns what is wrong with the grant, if anything. */
  grant(bytes: number): string | undefined;
  /** Counts a frame. Returns what is wrong with it, if anything: then the sender ignores its credit. */
  spend(body: Body): string | undefined;
}

export function createCredit(): Credit {
  let available = 0;
  /** Bytes of the chunked body under way. */
  let chunked = 0;

  function grant(bytes: number): string | undefined {
    if (bytes < MIN_GRANT) return `a credit of ${bytes} bytes is below the smallest one of ${MIN_GRANT}`;
    if (available + bytes > MAX_CREDIT) return `credit over ${MAX_CREDIT} bytes was granted and not used`;
    available += bytes;
    return undefined;
  }

  function spend(body: Body): string | undefined {
    if (chunked === 0 && available <= 0) return 'a body was sent without credit';
    available -= frameCost(body);
    if (body.$case !== 'chunk') return undefined;
    chunked += body.value.data.length;
    if (chunked > MAX_BODY_BYTES) return `a chunked body is over ${MAX_BODY_BYTES} bytes`;
    if (body.value.last) chunked = 0;
    return undefined;
  }

  return { available: () => available, grant, spend };
}
