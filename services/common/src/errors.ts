// One error family. `code` says what kind of failure it is, `message` what was wrong, where, and what to do.
// Invariant: compare `code` (or use isSkerryError), never instanceof: tests run in several JavaScript realms.

/**
 * The kinds of failure, after gRPC's canonical codes (the subset that is used here).
 * `unavailable` and `deadline_exceeded` may be tried again; the others need a change first.
 */
export type ErrorCode =
  | 'invalid_argument'
  | 'not_found'
  | 'already_exists'
  | 'permission_denied'
  | 'unauthenticated'
  | 'failed_precondition'
  | 'resource_exhausted'
  | 'unavailable'
  | 'deadline_exceeded'
  | 'cancelled'
  | 'data_loss'
  | 'unsupported'
  | 'internal';

const BRAND = Symbol.for('skerry.error');

export class SkerryError extends Error {
  readonly code: ErrorCode;
  readonly [BRAND] = true;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'SkerryError';
    this.code = code;
  }
}

/** True for a SkerryError of this or another realm; with `code`, only for that kind. */
export function isSkerryError(error: unknown, code?: ErrorCode): error is SkerryError {
  if (typeof error !== 'object' || error === null || !(BRAND in error)) return false;
  return code === undefined || (error as SkerryError).code === code;
}

/** The text of anything that was thrown, for logs and conditions. */
export function messageOf(error: unknown): string {
  return error instanceof Error || isSkerryError(error) ? error.message : String(error);
}

/** The `code` of a Node.js system error (`ENOENT`, `EADDRINUSE` ...), if it has one. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
