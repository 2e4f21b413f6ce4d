// The verbs on resources: from a request to an operation, from its result to an answer.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '@skerry/common/clock';
import { isObject, type JsonObject } from '../api/objects.js';
import { ApiError, badRequest, methodNotAllowed, successStatus, unsupportedMediaType } from '../api/status.js';
import type { FieldValidation } from '../operations/decode.js';
import { isDryRun, parseDeleteOptions } from '../operations/delete.js';
import type { CallOptions, Operations, PatchInput } from '../operations/operations.js';
import { getObject, listPage, parseFilter, parseListQuery } from '../operations/read.js';
import type { Target } from '../operations/write.js';
import { applyJsonPatch } from '../patch/json-patch.js';
import { applyMergePatch } from '../patch/merge-patch.js';
import { applyStrategicPatch } from '../patch/strategic.js';
import { type ResourceType, resourceOf } from '../registry/types.js';
import type { StoredObject } from '../storage/changes.js';
import type { Store } from '../storage/store.js';
import type { IncludeObject } from '../table/render.js';
import { contentTypeOf, objectBody, parseBody, parseJson, readBody } from './body.js';
import { negotiate } from './negotiate.js';
import type { ResourcePath } from './request-info.js';
import { renderList, renderObject, send, type View } from './respond.js';
import type { SubresourceHandler } from './subresources.js';
import { isTrue, parseWatchQuery, type WatchHub } from './watch.js';

export interface ResourceCall {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly type: ResourceType;
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
}

export interface ResourceHandlerOptions {
  readonly store: Store;
  readonly operations: Operations;
  readonly watches: WatchHub;
  readonly subresources: SubresourceHandler;
  readonly clock: Clock;
}

export type ResourceHandler = (call: ResourceCall) => Promise<void>;

export function createResourceHandler(options: ResourceHandlerOptions): ResourceHandler {
  const { store, operations, watches, subresources, clock } = options;

  function viewOf({ request, type, query }: ResourceCall): View {
    const include = query.get('includeObject') ?? '';
    if (!['', 'None', 'Metadata', 'Object'].includes(include)) {
      throw badRequest(
        `includeObject: Unsupported value: ${JSON.stringify(include)}: supported values: "None", "Metadata", "Object"`,
      );
    }
    const shape = negotiate(request.headers.accept);
    return { type, shape, include: (include || 'Metadata') as IncludeObject, nowMs: clock.nowMs() };
  }

  async function dispatch(call: ResourceCall): Promise<void> {
    const { request, type, path } = call;
    const { method = 'GET' } = request;
    const isStatus = path.subresource === 'status' && type.hasStatus;
    if (path.subresource !== '' && !isStatus) return postSubresource(call);
    if (path.name === '') {
      if (method === 'GET') return isWatch(call) ? watch(call) : list(call);
      if (method === 'POST') return create(call);
      if (method === 'DELETE') return removeAll(call);
    } else {
      if (method === 'GET') return isWatch(call) ? watch(call) : get(call);
      if (method === 'PUT') return update(call, isStatus);
      if (method === 'PATCH') return patch(call, isStatus);
      if (method === 'DELETE' && !isStatus) return remove(call);
    }
    throw methodNotAllowed(resourceOf(type), method.toLowerCase());
  }

  async function get(call: ResourceCall): Promise<void> {
    const { path, type } = call;
    send(
      call.response,
      200,
      renderObject(viewOf(call), getObject(store, type, path.namespace, path.name)),
      notes(call),
    );
  }

  async function list(call: ResourceCall): Promise<void> {
    const view = viewOf(call);
    const page = listPage(store, call.type, parseListQuery(call.type, call.path.namespace, call.query));
    const metadata = {
      resourceVersion: String(page.revision),
      ...(page.continueToken === undefined ? {} : { continue: page.continueToken }),
      ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
    };
    send(call.response, 200, renderList(view, page.items, metadata), notes(call));
  }

  async function watch(call: ResourceCall): Promise<void> {
    const { path, type, query } = call;
    const view = viewOf(call);
    if (path.name !== '') query.set('fieldSelector', `metadata.name=${path.name}`);
    for (const note of notes(call)) call.response.appendHeader('Warning', `299 - ${JSON.stringify(note)}`);
    const filter = parseFilter(type, query);
    watches.serve(
      call.response,
      () => ({ ...view, nowMs: clock.nowMs() }),
      parseWatchQuery(path.namespace, filter, query),
    );
  }

  async function create(call: ResourceCall): Promise<void> {
    const { request, response, type, path } = call;
    const view = viewOf(call);
    if (type.namespaced && path.namespace === '') throw methodNotAllowed(resourceOf(type), 'create');
    const body = objectBody(await readBody(request), contentTypeOf(request));
    const { options: write, warnings } = writeOptions(call);
    const stored = await operations.create(type, path.namespace, body, write);
    send(response, 201, renderObject(view, stored), warnings);
  }

  async function update(call: ResourceCall, isStatus: boolean): Promise<void> {
    const view = viewOf(call);
    const body = objectBody(await readBody(call.request), contentTypeOf(call.request));
    const { options: write, warnings } = writeOptions(call);
    const { stored, created } = await operations.update(targetOf(call, isStatus), body, write);
    send(call.response, created ? 201 : 200, renderObject(view, stored), warnings);
  }

  async function patch(call: ResourceCall, isStatus: boolean): Promise<void> {
    const { request, type } = call;
    const view = viewOf(call);
    const contentType = contentTypeOf(request);
    refusePatchType(type, contentType);
    const input = patchInput(type, contentType, (await readBody(request)).toString('utf8'));
    const { options: write, warnings } = writeOptions(call);
    const stored = await operations.patch(targetOf(call, isStatus), input, write);
    send(call.response, 200, renderObject(view, stored), warnings);
  }

  async function remove(call: ResourceCall): Promise<void> {
    const { response, type, path } = call;
    const view = viewOf(call);
    const options = parseDeleteOptions(await optionalBody(call), call.query);
    const { stored, gone } = await operations.remove(type, path.namespace, path.name, options);
    if (!gone || type.behaviour.returnsDeleted) send(response, 200, renderObject(view, stored), notes(call));
    else send(response, 200, deletedStatus(type, stored), notes(call));
  }

  async function removeAll(call: ResourceCall): Promise<void> {
    const { type, path, query } = call;
    const view = viewOf(call);
    const filter = parseFilter(type, query);
    const options = parseDeleteOptions(await optionalBody(call), query);
    const removed = await operations.removeAll(type, path.namespace, filter, options);
    send(call.response, 200, renderList(view, removed, { resourceVersion: String(store.revision()) }), notes(call));
  }

  async function postSubresource(call: ResourceCall): Promise<void> {
    const { request, response, type, path } = call;
    const known = type.subresources.find((item) => item.name === path.subresource);
    if (known === undefined) throw pageNotFound();
    if (request.method !== 'POST') throw methodNotAllowed(resourceOf(type), (request.method ?? 'GET').toLowerCase());
    send(response, 201, await subresources(known.kind, call));
  }

  return dispatch;
}

/** Marks a request for something that is not served; answered like any unknown path. */
export function pageNotFound(): ApiError {
  return new ApiError(404, '', '404 page not found');
}

function notes({ type }: ResourceCall): readonly string[] {
  return type.deprecation === undefined ? [] : [type.deprecation];
}

function isWatch({ query }: ResourceCall): boolean {
  return isTrue(query.get('watch'));
}

function targetOf({ type, path }: ResourceCall, isStatus: boolean): Target {
  const { namespace, name } = path;
  return { type, namespace, name, ...(isStatus ? { subresource: 'status' as const } : {}) };
}

function writeOptions(call: ResourceCall): { options: CallOptions; warnings: string[] } {
  const warnings = [...notes(call)];
  const validation = call.query.get('fieldValidation') ?? '';
  if (!['', 'Strict', 'Warn', 'Ignore'].includes(validation)) {
    throw badRequest(
      `fieldValidation: Unsupported value: ${JSON.stringify(validation)}: supported values: "Ignore", "Strict", "Warn"`,
    );
  }
  return {
    warnings,
    options: {
      dryRun: isDryRun(call.query),
      fieldValidation: (validation || 'Warn') as FieldValidation,
      warn: (text) => void warnings.push(text),
    },
  };
}

const PATCH_TYPES = ['application/json-patch+json', 'application/merge-patch+json'];
const STRATEGIC = 'application/strategic-merge-patch+json';
const APPLY = ['application/apply-patch+yaml', 'application/apply-patch+cbor'];

/** Throws 415: server-side apply is not offered, strategic merge patch only where the schema says how lists merge. */
function refusePatchType(type: ResourceType, contentType: string): void {
  const accepted = type.custom ? PATCH_TYPES : [...PATCH_TYPES, STRATEGIC];
  if (accepted.includes(contentType)) return;
  if (!APPLY.includes(contentType)) throw unsupportedMediaType(accepted);
  const message = `server-side apply is not supported by devcluster: use client-side apply, or one of ${accepted.join(', ')}`;
  throw new ApiError(415, 'UnsupportedMediaType', message);
}

function patchInput(type: ResourceType, contentType: string, text: string): PatchInput {
  const { value, duplicates } = parseJson(text);
  if (contentType === PATCH_TYPES[0]) return { apply: (current) => applyJsonPatch(current, value), duplicates: [] };
  if (!isObject(value)) throw badRequest('the patch must be a JSON object');
  if (contentType === PATCH_TYPES[1]) return { apply: (current) => applyMergePatch(current, value), duplicates };
  return { apply: (current) => applyStrategicPatch(current, value, type.schema, type.definitions), duplicates };
}

async function optionalBody({ request }: ResourceCall): Promise<JsonObject | undefined> {
  const bytes = await readBody(request);
  if (bytes.length === 0) return undefined;
  const { value } = parseBody(bytes, contentTypeOf(request));
  if (!isObject(value)) throw badRequest('DeleteOptions must be a JSON object');
  return value;
}

function deletedStatus(type: ResourceType, stored: StoredObject): JsonObject {
  const { uid } = stored.object.metadata;
  return successStatus({
    name: stored.key.name,
    ...(type.group === '' ? {} : { group: type.group }),
    kind: type.plural,
    ...(uid === undefined ? {} : { uid }),
  });
}
