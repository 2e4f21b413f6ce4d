// The failure of a handshake: the other side said Goodbye instead of Welcome.
import { type Goodbye, Goodbye_Reason } from '@skerry/gen/skerry/link/v1/link';
import { type ErrorCode, isSkerryError, SkerryError } from '../errors.js';

/** Thrown by `dialChannel`; `goodbye` holds the reason, how long to stay away and the highest known generation. */
export class RefusedError extends SkerryError {
  readonly goodbye: Goodbye;

  constructor(goodbye: Goodbye) {
    const reason = Goodbye_Reason[goodbye.reason] ?? String(goodbye.reason);
    super(codeOfReason(goodbye.reason), `the hub refused the connection: ${goodbye.message || reason}`);
    this.name = 'RefusedError';
    this.goodbye = goodbye;
  }
}

/** True for a RefusedError of this or another realm. */
export function isRefused(error: unknown): error is RefusedError {
  return isSkerryError(error) && 'goodbye' in error;
}

function codeOfReason(reason: Goodbye_Reason): ErrorCode {
  switch (reason) {
    case Goodbye_Reason.REASON_FORBIDDEN:
      return 'permission_denied';
    case Goodbye_Reason.REASON_UNSUPPORTED_VERSION:
      return 'unsupported';
    case Goodbye_Reason.REASON_STALE_GENERATION:
    case Goodbye_Reason.REASON_REPLACED:
      return 'failed_precondition';
    case Goodbye_Reason.REASON_PROTOCOL_ERROR:
      return 'internal';
    default:
      return 'unavailable';
  }
}
