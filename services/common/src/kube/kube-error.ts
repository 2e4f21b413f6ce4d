// One error for every failed conversation with the Kubernetes API, whoever failed: the network, the server, or the caller's patience.
// Invariant: `httpStatus` 0 means that no answer was received; then the request may or may not have taken effect.
import { type ErrorCode, isSkerryError, SkerryError } from '../errors.js';

/** The part of a Kubernetes `Status` object (meta/v1) that is acted upon or shown. */
export interface KubeStatus {
  readonly code?: number;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly retryAfterSeconds?: number; readonly name?: string; readonly kind?: string };
}

export interface KubeErrorInit {
  readonly httpStatus: number;
  /** Kubernetes' own reason (`AlreadyExists`, `Conflict`, `Expired` ...), or '' when it gave none. */
  readonly reason?: string;
  readonly status?: KubeStatus;
  /** How long the server asked to be left alone. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

export class KubeError extends SkerryError {
  readonly httpStatus: number;
  readonly reason: string;
  readonly status: KubeStatus | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, init: KubeErrorInit) {
    super(code, message, { cause: init.cause });
    this.name = 'KubeError';
    this.httpStatus = init.httpStatus;
    this.reason = init.reason ?? '';
    this.status = init.status;
    this.retryAfterMs = init.retryAfterMs;
  }
}

export function isKubeError(error: unknown): error is KubeError {
  return isSkerryError(error) && 'httpStatus' in error;
}

/** The object, the namespace or the resource itself is not there. */
export function isNotFound(error: unknown): boolean {
  return isKubeError(error) && error.httpStatus === 404;
}

/** A create met an object of the same name. */
export function isAlreadyExists(error: unknown): boolean {
  return isKubeError(error) && error.httpStatus === 409 && error.reason === 'AlreadyExists';
}

/** A resourceVersion or UID precondition failed: read again, then decide again. */
export function isConflict(error: unknown): boolean {
  return isKubeError(error) && error.httpStatus === 409 && error.reason !== 'AlreadyExists';
}

/** The resourceVersion or the continue token is older than the server's history: list again. */
export function isGone(error: unknown): boolean {
  return isKubeError(error) && error.httpStatus === 410;
}

/** The error for an answer with a failure status. `context` names the request (`GET /api/v1/pods`), never its body. */
export function errorFromResponse(
  context: string,
  httpStatus: number,
  body: string,
  retryAfter: string | undefined,
): KubeError {
  const status = parseStatus(body);
  const reason = status?.reason ?? '';
  const text = status?.message ?? (body.slice(0, 200) || 'no explanation');
  const retryAfterMs = retryAfterOf(retryAfter, status);
  return new KubeError(codeOf(httpStatus, reason), `${context}: ${httpStatus} ${reason || 'error'}: ${text}`, {
    httpStatus,
    reason,
    ...(status && { status }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** The error for the Status object inside a watch's ERROR event, which has no HTTP status of its own. */
export function errorFromStatus(context: string, status: KubeStatus): KubeError {
  return errorFromResponse(context, status.code ?? 500, JSON.stringify(status), undefined);
}

function codeOf(httpStatus: number, reason: string): ErrorCode {
  switch (httpStatus) {
    case 400:
    case 413:
    case 422:
      return 'invalid_argument';
    case 401:
      return 'unauthenticated';
    case 403:
      return 'permission_denied';
    case 404:
      return 'not_found';
    case 405:
    case 406:
    case 415:
    case 501:
      return 'unsupported';
    case 408:
    case 504:
      return 'deadline_exceeded';
    case 409:
      return reason === 'AlreadyExists' ? 'already_exists' : 'failed_precondition';
    case 410:
    case 412:
      return 'failed_precondition';
    case 429:
      return 'resource_exhausted';
    default:
      // 500 is what the API server says for trouble with etcd or a webhook: it passes, so it counts as unavailable.
      return httpStatus >= 500 ? 'unavailable' : 'internal';
  }
}

function parseStatus(body: string): KubeStatus | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== 'object' || parsed === null || !('kind' in parsed) || parsed.kind !== 'Status')
      return undefined;
    return parsed as KubeStatus;
  } catch {
    return undefined;
  }
}

/** Seconds only: the API server never sends the date form of Retry-After. */
function retryAfterOf(header: string | undefined, status: KubeStatus | undefined): number | undefined {
  const seconds = header === undefined ? status?.details?.retryAfterSeconds : Number(header);
  return seconds !== undefined && Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined;
}
