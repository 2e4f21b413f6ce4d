// Credit of one lane in one direction: how much more the sender may have under way. Used by both ends of a lane session and, for
// frames that it only passes on, by the hub.
// Invariants: a body is started only while credit is above zero; the pieces of a chunked body follow whatever the credit says, up to
// the longest body; what is granted and unused never exceeds MAX_CREDIT.
import { frameCost } from './cost.js';
import { MAX_BODY_BYTES, MAX_CREDIT, MIN_GRANT } from './limits.js';
import type { Body } from './types.js';

export class Credit {
  #available = 0;
  /** Bytes of the chunked body under way. */
  #chunked = 0;

  /** Left, in bytes; below zero after a large body. */
  available(): number {
    return this.#available;
  }

  /** Grants more. Returns what is wrong with the grant, if anything. */
  grant(bytes: number): string | undefined {
    if (bytes < MIN_GRANT) return `a credit of ${bytes} bytes is below the smallest one of ${MIN_GRANT}`;
    if (this.#available + bytes > MAX_CREDIT) return `credit over ${MAX_CREDIT} bytes was granted and not used`;
    this.#available += bytes;
    return undefined;
  }

  /** Counts a frame, which costs what `frameCost` says. Returns what is wrong with it, if anything: then the sender ignores its credit. */
  spend(body: Body, cost = frameCost(body)): string | undefined {
    if (this.#chunked === 0 && this.#available <= 0) return 'a body was sent without credit';
    this.#available -= cost;
    if (body.$case !== 'chunk') return undefined;
    this.#chunked += body.value.data.length;
    if (this.#chunked > MAX_BODY_BYTES) return `a chunked body is over ${MAX_BODY_BYTES} bytes`;
    if (body.value.last) this.#chunked = 0;
    return undefined;
  }
}
