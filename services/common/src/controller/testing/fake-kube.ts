// A Kubernetes API in memory for the controllers' unit tests: every resource, merge patches, UID and version preconditions, watches.
// A test looks at `requests`, steps in with `before`, takes the API away with `down`, and cuts the watches with `dropWatches`.

import type { DeleteOptions, KubeClient, ListOptions, Patch, WatchOptions, WriteOptions } from '../../kube/client.js';
import { KubeError } from '../../kube/kube-error.js';
import { type KubeObject, keyOf, type ObjectRef } from '../../kube/object.js';
import type { Resource } from '../../kube/resources.js';
import { createMemoryApi, type MemoryApi, type MemoryClient } from '../../kube/testing/memory-api.js';

type AnyObject = KubeObject & Record<string, unknown>;

export interface FakeKube {
  readonly client: KubeClient;
  /** `<verb> <plural>[/<subresource>] <namespace>/<name>`, in order; watches are left out. */
  readonly requests: string[];
  /** Called before a request is carried out; may throw, or change something in between. */
  before: (request: string) => void | Promise<void>;
  /** Called when a request has taken effect; may throw, as when the answer is lost. */
  after: (request: string) => void | Promise<void>;
  /** Every request fails as if nobody answered. */
  down: boolean;
  /** Ends all watches, as a restarting API server does. */
  dropWatches(): void;
  /** Creates or replaces; an object without uid gets one. Returns what is stored. */
  put<T extends KubeObject>(resource: Resource<T>, object: T): Promise<T>;
  remove(resource: Resource<KubeObject>, ref: ObjectRef): Promise<void>;
  get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef): T | undefined;
  list<T extends KubeObject>(resource: Resource<T>): T[];
}

export function createFakeKube(): FakeKube {
  const apis = new Map<string, { api: MemoryApi; raw: MemoryClient }>();
  const watches = new Set<AbortController>();

  function apiOf({ plural }: Resource<KubeObject>): { api: MemoryApi; raw: MemoryClient } {
    const api = createMemoryApi();
    const known = apis.get(plural) ?? { api, raw: api.clientFor() };
    apis.set(plural, known);
    return known;
  }

  async function request<T>(verb: string, resource: Resource<KubeObject>, key: string, action: () => Promise<T>) {
    const text = `${verb} ${resource.plural} ${key}`;
    fake.requests.push(text);
    await fake.before(text);
    if (fake.down) throw new KubeError('unavailable', `${text}: no answer`, { httpStatus: 0 });
    const answer = await action();
    await fake.after(text);
    return answer;
  }

  async function patch(resource: Resource<KubeObject>, ref: ObjectRef, { body }: Patch, options?: WriteOptions) {
    const { raw } = apiOf(resource);
    const verb = options?.subresource ? `patch/${options.subresource}` : 'patch';
    return request(verb, resource, keyOf({ metadata: ref }), async () => {
      const found = (await raw.get(resource, ref)) as AnyObject;
      const wanted = (body as AnyObject).metadata ?? {};
      if (wanted.uid !== undefined && wanted.uid !== found.metadata?.uid) throw conflict('uid');
      if (wanted.resourceVersion !== undefined && wanted.resourceVersion !== found.metadata?.resourceVersion)
        throw conflict('resourceVersion');
      const uid = found.metadata?.uid;
      const next = merge(found, body) as AnyObject;
      return raw.replace(resource, { ...next, metadata: { ...next.metadata, ...(uid && { uid }) } });
    });
  }

  async function remove(resource: Resource<KubeObject>, ref: ObjectRef, options?: DeleteOptions) {
    const { raw } = apiOf(resource);
    await request('delete', resource, keyOf({ metadata: ref }), async () => {
      const found = await raw.get(resource, ref);
      if (options?.uid !== undefined && options.uid !== found.metadata?.uid) throw conflict('uid');
      await raw.delete(resource, ref);
    });
  }

  async function watch(resource: Resource<KubeObject>, options: WatchOptions) {
    if (fake.down) throw new KubeError('unavailable', 'watch: no answer', { httpStatus: 0 });
    const cut = new AbortController();
    watches.add(cut);
    options.signal.addEventListener('abort', () => cut.abort(), { once: true });
    return apiOf(resource).raw.watch(resource, { ...options, signal: cut.signal });
  }

  const client = {
    get: (resource: Resource<KubeObject>, ref: ObjectRef) =>
      request('get', resource, keyOf({ metadata: ref }), () => apiOf(resource).raw.get(resource, ref)),
    list: (resource: Resource<KubeObject>, options?: ListOptions) =>
      request('list', resource, options?.namespace ?? '', async () => {
        const page = await apiOf(resource).raw.list(resource, options);
        const items = page.items.filter(
          (object) => !options?.namespace || object.metadata?.namespace === options.namespace,
        );
        return { ...page, items };
      }),
    create: (resource: Resource<KubeObject>, object: KubeObject) =>
      request('create', resource, keyOf(object), () => apiOf(resource).raw.create(resource, object)),
    replace: (resource: Resource<KubeObject>, object: KubeObject) =>
      request('update', resource, keyOf(object), () => apiOf(resource).raw.replace(resource, object)),
    patch,
    delete: remove,
    watch,
  } as unknown as KubeClient; // generic methods over the one type that is stored

  const fake: FakeKube = {
    client,
    requests: [],
    before: () => {},
    after: () => {},
    down: false,
    dropWatches() {
      for (const cut of watches) cut.abort();
      watches.clear();
    },
    async put<T extends KubeObject>(resource: Resource<T>, object: T) {
      const { api, raw } = apiOf(resource);
      const exists = api.objects().some((other) => keyOf(other) === keyOf(object));
      const { resourceVersion: _any, ...metadata } = object.metadata ?? {};
      const stored = { ...object, metadata };
      return exists ? raw.replace(resource, stored) : raw.create(resource, stored);
    },
    remove: (resource, ref) => apiOf(resource).raw.delete(resource, ref),
    get: <T extends KubeObject>(resource: Resource<T>, ref: ObjectRef) =>
      apiOf(resource)
        .api.objects()
        .find((object) => keyOf(object) === keyOf({ metadata: ref })) as T | undefined,
    list: <T extends KubeObject>(resource: Resource<T>) => apiOf(resource).api.objects() as T[],
  };
  return fake;
}

function merge(target: unknown, change: unknown): unknown {
  if (typeof change !== 'object' || change === null || Array.isArray(change)) return change;
  const merged: Record<string, unknown> =
    typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(change)) {
    if (value === null) delete merged[name];
    else if (value !== undefined) merged[name] = merge(merged[name], value);
  }
  return merged;
}

function conflict(what: string): KubeError {
  return new KubeError('failed_precondition', `precondition failed: ${what}`, { httpStatus: 409, reason: 'Conflict' });
}

/** Lets what is ready run, turn by turn, until the condition holds. Throws after too many turns. */
export async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; turns < 500; turns++) {
    if (condition()) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  throw new Error('the condition did not come true');
}

/** Lets everything that is ready run. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
