// Errors as the API speaks them: every failure of a request is one ApiError that carries a Kubernetes Status object.
// Invariant: reason, code and message follow k8s.io/apimachinery's errors, since clients decide by them.
import { type ErrorCode, SkerryError } from '@skerry/common/errors';
import type { GroupResource, JsonObject } from './objects.js';

export interface StatusCause {
  readonly reason?: string;
  readonly message: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

export interface FieldError {
  readonly type: keyof typeof FIELD_ERRORS;
  readonly field: string;
  readonly detail?: string;
  /** The value found, as it shall be shown. */
  readonly value?: unknown;
}

const FIELD_ERRORS = {
  required: ['FieldValueRequired', 'Required value'],
  invalid: ['FieldValueInvalid', 'Invalid value'],
  forbidden: ['FieldValueForbidden', 'Forbidden'],
  duplicate: ['FieldValueDuplicate', 'Duplicate value'],
  unsupported: ['FieldValueNotSupported', 'Unsupported value'],
  tooLong: ['FieldValueTooLong', 'Too long'],
  tooMany: ['FieldValueTooMany', 'Too many'],
  type: ['FieldValueTypeInvalid', 'Invalid value'],
  notFound: ['FieldValueNotFound', 'Not found'],
} as const;

const CODES: Record<number, ErrorCode> = {
  401: 'unauthenticated',
  403: 'permission_denied',
  404: 'not_found',
  409: 'failed_precondition',
  410: 'data_loss',
  413: 'resource_exhausted',
  429: 'resource_exhausted',
  500: 'internal',
  503: 'unavailable',
  504: 'deadline_exceeded',
};

const BRAND = Symbol.for('skerry.devcluster.api-error');

export class ApiError extends SkerryError {
  readonly [BRAND] = true;
  readonly httpCode: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;
  /** What the Status object has in `metadata.continue`. */
  readonly continueToken: string | undefined;

  constructor(httpCode: number, reason: string, message: string, details?: StatusDetails, continueToken?: string) {
    super(CODES[httpCode] ?? 'invalid_argument', message);
    this.name = 'ApiError';
    this.httpCode = httpCode;
    this.reason = reason;
    this.details = details;
    this.continueToken = continueToken;
  }

  toStatus(): JsonObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: this.continueToken === undefined ? {} : { continue: this.continueToken },
      status: 'Failure',
      message: this.message,
      ...(this.reason === '' ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.httpCode,
    };
  }
}

export function isApiError(error: unknown, reason?: string): error is ApiError {
  if (typeof error !== 'object' || error === null || !(BRAND in error)) return false;
  return reason === undefined || (error as ApiError).reason === reason;
}

/** A Status that tells of a success, as DELETE and bindings answer. */
export function successStatus(details?: StatusDetails, code?: number): JsonObject {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    ...(details === undefined ? {} : { details }),
    ...(code === undefined ? {} : { code }),
  };
}

/** "pods" or "devices.devices.kubeedge.io", as messages name a resource. */
export function qualified(resource: GroupResource): string {
  return resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
}

function detailsOf(resource: GroupResource, name: string, causes?: readonly StatusCause[]): StatusDetails {
  return {
    name,
    ...(resource.group === '' ? {} : { group: resource.group }),
    kind: resource.resource,
    ...(causes === undefined ? {} : { causes }),
  };
}

export function notFound(resource: GroupResource, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${qualified(resource)} "${name}" not found`, detailsOf(resource, name));
}

export function alreadyExists(resource: GroupResource, name: string): ApiError {
  const message = `${qualified(resource)} "${name}" already exists`;
  return new ApiError(409, 'AlreadyExists', message, detailsOf(resource, name));
}

export function conflict(resource: GroupResource, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(resource)} "${name}": ${why}`;
  return new ApiError(409, 'Conflict', message, detailsOf(resource, name));
}

export const MODIFIED = 'the object has been modified; please apply your changes to the latest version and try again';

export function forbidden(resource: GroupResource, name: string, why: string, cause?: StatusCause): ApiError {
  const what = name === '' ? qualified(resource) : `${qualified(resource)} "${name}"`;
  const details = detailsOf(resource, name, cause === undefined ? undefined : [cause]);
  return new ApiError(403, 'Forbidden', `${what} is forbidden: ${why}`, details);
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

export function expired(message: string, continueToken?: string): ApiError {
  return new ApiError(410, 'Expired', message, undefined, continueToken);
}

export function methodNotAllowed(resource: GroupResource, verb: string): ApiError {
  const message = `${verb} is not supported on resources of kind "${qualified(resource)}"`;
  return new ApiError(405, 'MethodNotAllowed', message, detailsOf(resource, ''));
}

export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return new ApiError(415, 'UnsupportedMediaType', message);
}

export function internalError(message: string): ApiError {
  return new ApiError(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
}

/** 422 with one cause a field, as validation answers. `group` is that of the kind. */
export function invalid(group: string, kind: string, name: string, errors: readonly FieldError[]): ApiError {
  const causes = errors.map(toCause);
  const texts = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const details = { name, ...(group === '' ? {} : { group }), kind, causes };
  return new ApiError(422, 'Invalid', `${kind} "${name}" is invalid: ${list}`, details);
}

function toCause(error: FieldError): StatusCause & { field: string } {
  const [reason, title] = FIELD_ERRORS[error.type];
  const shown = error.value === undefined ? title : `${title}: ${show(error.value)}`;
  const message = error.detail === undefined || error.detail === '' ? shown : `${shown}: ${error.detail}`;
  return { reason, message, field: error.field };
}

const MAX_SHOWN = 500;

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null';
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
}
