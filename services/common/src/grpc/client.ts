// gRPC clients: over unix sockets inside a node, and the mapping between our errors and gRPC's status codes.
import {
  type ChannelCredentials,
  type ClientOptions,
  credentials,
  type ServiceError,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { type ErrorCode, isSkerryError, messageOf, SkerryError } from '../errors.js';

type ClientConstructor<T> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => T;

/** A client of a service on a unix socket. It reconnects by itself, at the latest two seconds after the server is back. */
export function unixClient<T>(Client: ClientConstructor<T>, path: string): T {
  return new Client(`unix:${path}`, credentials.createInsecure(), {
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2_000,
    // Two clients of one path must not share a connection: closing one would end the other's calls.
    'grpc.use_local_subchannel_pool': 1,
  });
}

const TO_STATUS: Record<ErrorCode, status> = {
  invalid_argument: status.INVALID_ARGUMENT,
  not_found: status.NOT_FOUND,
  already_exists: status.ALREADY_EXISTS,
  permission_denied: status.PERMISSION_DENIED,
  unauthenticated: status.UNAUTHENTICATED,
  failed_precondition: status.FAILED_PRECONDITION,
  resource_exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  deadline_exceeded: status.DEADLINE_EXCEEDED,
  cancelled: status.CANCELLED,
  data_loss: status.DATA_LOSS,
  unsupported: status.UNIMPLEMENTED,
  internal: status.INTERNAL,
};

const FROM_STATUS = new Map<number, ErrorCode>(
  Object.entries(TO_STATUS).map(([code, value]) => [value, code as ErrorCode]),
);

/** What a server answers for a thrown value. */
export function toStatus(error: unknown): Pick<StatusObject, 'code' | 'details'> {
  if (isSkerryError(error)) return { code: TO_STATUS[error.code], details: error.message };
  return { code: status.INTERNAL, details: messageOf(error) };
}

/** The gRPC status code of an error code. */
export function statusOf(code: ErrorCode): number {
  return TO_STATUS[code];
}

/** The error code of a gRPC status code; unknown ones are internal. */
export function codeOf(statusCode: number): ErrorCode {
  return FROM_STATUS.get(statusCode) ?? 'internal';
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

/** A client's failure as one of ours. */
export function fromServiceError(error: unknown): SkerryError {
  if (isSkerryError(error)) return error;
  if (!isServiceError(error)) return new SkerryError('internal', messageOf(error), { cause: error });
  return new SkerryError(codeOf(error.code), error.details, { cause: error });
}

/** Calls a unary method: `unary((done) => client.getStatus(request, done))`. */
export function unary<T>(call: (done: (error: ServiceError | null, response: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, response) => (error ? reject(fromServiceError(error)) : resolve(response)));
  });
}
