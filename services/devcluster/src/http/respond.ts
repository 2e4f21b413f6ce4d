// Answers: objects in the version and shape that was asked for, errors as Status objects.
import type { ServerResponse } from 'node:http';
import { isSkerryError, messageOf } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';
import type { JsonObject } from '../api/objects.js';
import { ApiError, internalError, isApiError } from '../api/status.js';
import { apiVersionOf, type ResourceType } from '../registry/types.js';
import type { StoredObject } from '../storage/changes.js';
import { type IncludeObject, partialMetadata, renderTable } from '../table/render.js';
import type { Shape } from './negotiate.js';

export interface View {
  readonly type: ResourceType;
  readonly shape: Shape;
  readonly include: IncludeObject;
  readonly nowMs: number;
}

/** The JSON text of a stored object with its apiVersion and kind in front. */
export function objectJson(type: ResourceType, stored: StoredObject): string {
  return `{"kind":${JSON.stringify(type.kind)},"apiVersion":${JSON.stringify(apiVersionOf(type))},${stored.json.slice(1)}`;
}

export function fullObject(type: ResourceType, stored: StoredObject): JsonObject {
  return { kind: type.kind, apiVersion: apiVersionOf(type), ...stored.object };
}

/** One object in the shape that was asked for. */
export function renderObject(view: View, stored: StoredObject): string {
  const { type, shape } = view;
  if (shape === 'object') return objectJson(type, stored);
  if (shape === 'metadata') return JSON.stringify(partialMetadata(stored.object));
  const metadata = { resourceVersion: String(stored.revision) };
  return JSON.stringify(renderTable(type.columns, [rowOf(type, stored)], metadata, view.include, view.nowMs));
}

/** A list in the shape that was asked for; items of built-in types carry no apiVersion and kind, as upstream's do not. */
export function renderList(view: View, items: readonly StoredObject[], metadata: JsonObject): string {
  const { type, shape } = view;
  if (shape === 'table') {
    const rows = items.map((stored) => rowOf(type, stored));
    return JSON.stringify(renderTable(type.columns, rows, metadata, view.include, view.nowMs));
  }
  if (shape === 'metadata') {
    const list = items.map((stored) => partialMetadata(stored.object));
    return JSON.stringify({ kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items: list });
  }
  const head = JSON.stringify({ kind: type.listKind, apiVersion: apiVersionOf(type), metadata }).slice(0, -1);
  const texts = items.map((stored) => (type.custom ? objectJson(type, stored) : stored.json));
  return `${head},"items":[${texts.join(',')}]}`;
}

function rowOf(type: ResourceType, stored: StoredObject) {
  return { object: stored.object, full: () => fullObject(type, stored) };
}

export function send(
  response: ServerResponse,
  code: number,
  json: string | JsonObject,
  warnings: readonly string[] = [],
): void {
  const text = typeof json === 'string' ? json : JSON.stringify(json);
  for (const warning of warnings) response.appendHeader('Warning', `299 - ${JSON.stringify(warning)}`);
  response.writeHead(code, {
    'content-type': 'application/json',
    'cache-control': 'no-cache, private',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

export function sendText(response: ServerResponse, code: number, text: string): void {
  response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' });
  response.end(text);
}

/** Any error as a Status; what is no ApiError is our own failure, and its text stays in the log. */
export function sendError(response: ServerResponse, error: unknown, logger: Logger): void {
  const status = toApiError(error);
  if (status.httpCode >= 500) logger.error('request failed', { error: messageOf(error) });
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const retryAfter = status.details?.retryAfterSeconds;
  if (retryAfter !== undefined) response.setHeader('retry-after', String(retryAfter));
  send(response, status.httpCode, status.toStatus());
}

export function toApiError(error: unknown): ApiError {
  if (isApiError(error)) return error;
  if (isSkerryError(error, 'resource_exhausted')) {
    return new ApiError(429, 'TooManyRequests', error.message, { retryAfterSeconds: 1 });
  }
  if (isSkerryError(error, 'unavailable'))
    return new ApiError(503, 'ServiceUnavailable', error.message, { retryAfterSeconds: 1 });
  if (isSkerryError(error)) return internalError(error.message);
  return internalError('an unexpected error; the log of devcluster has the details');
}
