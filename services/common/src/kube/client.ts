// The verbs of the Kubernetes API for any resource: typed, thin, without caches. What a verb throws is a KubeError.
// Invariant: names and namespaces reach the URL encoded, so no object name can address another path.
import { SkerryError } from '../errors.js';
import type { KubeObject, ObjectRef } from './object.js';
import { apiVersionOf, type Resource, SERVICE_ACCOUNTS, type TokenRequest } from './resources.js';
import {
  createKubeTransport,
  type HttpMethod,
  type KubeRequest,
  type KubeTransport,
  type TransportOptions,
} from './transport.js';
import { type WatchEvent, watchEventsOf } from './watch-stream.js';

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly retry?: boolean;
}

export interface WriteOptions extends CallOptions {
  /** `status`, `binding` ...; without it the object itself. */
  readonly subresource?: string;
  /** Strict refuses unknown and duplicate fields; the server's default is Warn. */
  readonly fieldValidation?: 'Strict' | 'Warn' | 'Ignore';
}

export interface ListOptions extends CallOptions {
  /** Without it: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continueToken?: string;
}

export interface WatchOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion: string;
  /** The server ends the watch after this. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

export interface DeleteOptions extends CallOptions {
  /** Preconditions: a mismatch is a conflict (409), nothing is deleted. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** 0 = at once; the object's own when left out. */
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
}

/** `merge` is RFC 7396, `json` is RFC 6902, `strategic` is Kubernetes' own and not for custom resources. */
export type Patch =
  | { readonly type: 'merge' | 'strategic'; readonly body: object }
  | { readonly type: 'json'; readonly body: readonly JsonPatchOperation[] };

export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly path: string; readonly from: string };

export interface KubeList<T> {
  readonly items: readonly T[];
  readonly metadata: {
    readonly resourceVersion?: string;
    /** Present when there are more pages. */
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
}

export interface KubeClient {
  get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options?: CallOptions): Promise<T>;
  /** One page, or everything without `limit`. */
  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions): Promise<KubeList<T>>;
  /** Namespace (and for subresources the name) come from the object's metadata. */
  create<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  /** PUT: with metadata.resourceVersion set, only if nobody wrote in between. */
  replace<T extends KubeObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, patch: Patch, options?: WriteOptions): Promise<T>;
  /** Resolves when the server has accepted: the object may live on until its grace period or finalizers end. */
  delete<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef, options?: DeleteOptions): Promise<void>;
  /** A token of a service account (TokenRequest), e.g. bound to a Pod and its UID. */
  createToken(
    serviceAccount: ObjectRef,
    spec: NonNullable<TokenRequest['spec']>,
    options?: CallOptions,
  ): Promise<TokenRequest>;
  /** Resolves when the server has accepted the watch; iterate it to its end, or abort the signal. */
  watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions): Promise<AsyncIterable<WatchEvent<T>>>;
  /** GET of any path, e.g. `/readyz` or `/apis`: the parsed JSON. */
  getPath<T>(path: string, options?: CallOptions): Promise<T>;
}

const PATCH_TYPES: Record<Patch['type'], string> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
};

/** A watch whose headers do not come within this has no server behind it. */
const WATCH_OPEN_TIMEOUT_MS = 30_000;

export function createKubeClient(transport: KubeTransport): KubeClient {
  async function write<T extends KubeObject>(
    method: HttpMethod,
    verb: string,
    resource: Resource<T>,
    object: T,
    options: WriteOptions | undefined,
  ): Promise<T> {
    const { name, namespace } = object.metadata ?? {};
    // A create addresses the collection, unless it is of a subresource (binding, eviction ...).
    const named = method !== 'POST' || options?.subresource !== undefined;
    if (named && !name)
      throw new SkerryError('invalid_argument', `${verb} of a ${resource.kind}: metadata.name is missing`);
    if (resource.namespaced && !namespace)
      throw new SkerryError('invalid_argument', `${verb} of a ${resource.kind}: metadata.namespace is missing`);
    return transport.request<T>({
      method,
      path: pathOf(resource, { namespace, name: named ? name : undefined }, options?.subresource),
      query: { fieldValidation: options?.fieldValidation },
      body: { ...object, apiVersion: object.apiVersion ?? apiVersionOf(resource), kind: object.kind ?? resource.kind },
      ...labels(verb, resource, options?.subresource),
      ...call(options),
    });
  }

  return {
    get: (resource, ref, options) =>
      transport.request({ method: 'GET', path: pathOf(resource, ref), ...labels('get', resource), ...call(options) }),

    async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<KubeList<T>> {
      const { labelSelector, fieldSelector, limit } = options;
      const answer = await transport.request<{ items?: T[] | null; metadata?: KubeList<T>['metadata'] }>({
        method: 'GET',
        path: pathOf(resource, { namespace: options.namespace }),
        query: { labelSelector, fieldSelector, limit, continue: options.continueToken },
        ...labels('list', resource),
        ...call(options),
      });
      return { items: answer.items ?? [], metadata: answer.metadata ?? {} };
    },

    create: (resource, object, options) => write('POST', 'create', resource, object, options),
    replace: (resource, object, options) => write('PUT', 'update', resource, object, options),

    patch: (resource, ref, patch, options) =>
      transport.request({
        method: 'PATCH',
        path: pathOf(resource, ref, options?.subresource),
        query: { fieldValidation: options?.fieldValidation },
        body: patch.body,
        contentType: PATCH_TYPES[patch.type],
        ...labels('patch', resource, options?.subresource),
        ...call(options),
      }),

    async delete(resource, ref, options = {}) {
      const { uid, resourceVersion, gracePeriodSeconds, propagationPolicy } = options;
      const preconditions = uid !== undefined || resourceVersion !== undefined ? { uid, resourceVersion } : undefined;
      await transport.request({
        method: 'DELETE',
        path: pathOf(resource, ref),
        body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions, gracePeriodSeconds, propagationPolicy },
        ...labels('delete', resource),
        ...call(options),
      });
    },

    createToken: (serviceAccount, spec, options) =>
      transport.request({
        method: 'POST',
        path: pathOf(SERVICE_ACCOUNTS, serviceAccount, 'token'),
        body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
        ...labels('create', SERVICE_ACCOUNTS, 'token'),
        ...call(options),
      }),

    async watch<T extends KubeObject>(resource: Resource<T>, options: WatchOptions) {
      const { labelSelector, fieldSelector, resourceVersion, timeoutSeconds } = options;
      const bytes = await transport.stream({
        method: 'GET',
        path: pathOf(resource, { namespace: options.namespace }),
        query: {
          watch: true,
          allowWatchBookmarks: true,
          labelSelector,
          fieldSelector,
          resourceVersion,
          timeoutSeconds,
        },
        timeoutMs: WATCH_OPEN_TIMEOUT_MS,
        signal: options.signal,
        ...labels('watch', resource),
      });
      return watchEventsOf<T>(bytes);
    },

    getPath: (path, options) =>
      transport.request({ method: 'GET', path, verb: 'get', resource: 'path', ...call(options) }),
  };
}

/** Transport and client for a connection: the usual way to get both. Close the transport at the end. */
export function connectKube(options: TransportOptions): { client: KubeClient; transport: KubeTransport } {
  const transport = createKubeTransport(options);
  return { client: createKubeClient(transport), transport };
}

/** `/api/v1/namespaces/x/pods/y/status` and the like. */
function pathOf(
  resource: Resource<KubeObject>,
  at: { readonly namespace?: string | undefined; readonly name?: string | undefined },
  subresource?: string,
): string {
  const segments = resource.group === '' ? ['api', resource.version] : ['apis', resource.group, resource.version];
  if (at.namespace !== undefined && resource.namespaced) segments.push('namespaces', at.namespace);
  else if (at.name !== undefined && resource.namespaced)
    throw new SkerryError('invalid_argument', `${resource.kind} ${at.name}: metadata.namespace is missing`);
  segments.push(resource.plural);
  if (at.name !== undefined) segments.push(at.name);
  if (subresource !== undefined) segments.push(subresource);
  if (segments.some((segment) => segment === '.' || segment === '..'))
    throw new SkerryError('invalid_argument', `${resource.kind}: "." and ".." are no names`);
  return `/${segments.map(encodeURIComponent).join('/')}`;
}

function labels(verb: string, resource: Resource<KubeObject>, subresource?: string) {
  return { verb, resource: subresource === undefined ? resource.plural : `${resource.plural}/${subresource}` };
}

function call(options: CallOptions | undefined): Pick<KubeRequest, 'signal' | 'timeoutMs' | 'retry'> {
  return {
    ...(options?.signal && { signal: options.signal }),
    ...(options?.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
    ...(options?.retry !== undefined && { retry: options.retry }),
  };
}
