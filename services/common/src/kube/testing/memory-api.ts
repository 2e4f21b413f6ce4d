// One resource of an API server, in memory: resourceVersions, conflicts, label selection, list and watch. For unit tests of what
// coordinates through Kubernetes; `clientFor` gives each participant a client of its own that a test can slow down or cut off.
import type { DeleteOptions, KubeClient, ListOptions, WatchOptions } from '../client.js';
import { KubeError } from '../kube-error.js';
import { type KubeObject, keyOf } from '../object.js';
import type { WatchEvent } from '../watch-stream.js';

export type MemoryClient = Pick<KubeClient, 'get' | 'list' | 'create' | 'replace' | 'delete' | 'watch'>;

export interface MemoryApi {
  objects(): KubeObject[];
  writes(): number;
  /** `hold` is awaited before a request reaches the store and again before its answer is given; it may throw. */
  clientFor(hold?: () => Promise<void>): MemoryClient;
}

export function createMemoryApi(): MemoryApi {
  const objects = new Map<string, KubeObject>();
  const watchers = new Set<(event: WatchEvent<KubeObject>) => void>();
  const history: WatchEvent<KubeObject>[] = [];
  let version = 0;

  function store(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): KubeObject {
    version += 1;
    const stored = structuredClone({ ...object, metadata: { ...object.metadata, resourceVersion: String(version) } });
    if (type === 'DELETED') objects.delete(keyOf(object));
    else objects.set(keyOf(object), stored);
    const event = { type, object: stored };
    history.push(event);
    for (const tell of watchers) tell(event);
    return structuredClone(stored);
  }

  function required(key: string): KubeObject {
    const found = objects.get(key);
    if (!found) throw failure(404, 'NotFound');
    return found;
  }

  function checkVersion(found: KubeObject, wanted: string | undefined): void {
    if (wanted !== undefined && wanted !== found.metadata?.resourceVersion) throw failure(409, 'Conflict');
  }

  function create(object: KubeObject): KubeObject {
    if (objects.has(keyOf(object))) throw failure(409, 'AlreadyExists');
    return store('ADDED', { ...object, metadata: { ...object.metadata, uid: `uid-${version}` } });
  }

  function replace(object: KubeObject): KubeObject {
    const found = required(keyOf(object));
    checkVersion(found, object.metadata?.resourceVersion);
    return store('MODIFIED', { ...object, metadata: { ...object.metadata, uid: found.metadata?.uid ?? '' } });
  }

  function remove(key: string, options: DeleteOptions | undefined): void {
    const found = required(key);
    checkVersion(found, options?.resourceVersion);
    store('DELETED', found);
  }

  function list(options: ListOptions | undefined) {
    const items = [...objects.values()].filter((object) => selected(object, options?.labelSelector));
    return { items: structuredClone(items), metadata: { resourceVersion: String(version) } };
  }

  async function* watch(options: WatchOptions, hold: () => Promise<void>): AsyncGenerator<WatchEvent<KubeObject>> {
    const queue = history.filter(
      (event) => event.type !== 'ERROR' && versionOf(event) > Number(options.resourceVersion),
    );
    let wake = (): void => {};
    const tell = (event: WatchEvent<KubeObject>): void => {
      queue.push(event);
      wake();
    };
    const onAbort = (): void => wake();
    watchers.add(tell);
    options.signal.addEventListener('abort', onAbort);
    try {
      while (!options.signal.aborted) {
        const event = queue.shift();
        if (!event) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        await hold();
        if (event.type !== 'ERROR' && selected(event.object, options.labelSelector)) yield structuredClone(event);
      }
      throw new KubeError('cancelled', 'the watch was aborted', { httpStatus: 0 });
    } finally {
      watchers.delete(tell);
      options.signal.removeEventListener('abort', onAbort);
    }
  }

  function clientFor(hold: () => Promise<void> = async () => {}): MemoryClient {
    async function request<T>(action: () => T): Promise<T> {
      await hold();
      const answer = action();
      await hold();
      return answer;
    }
    const client = {
      get: (_: unknown, ref: { namespace?: string; name: string }) =>
        request(() => structuredClone(required(keyOf({ metadata: ref })))),
      list: (_: unknown, options?: ListOptions) => request(() => list(options)),
      create: (_: unknown, object: KubeObject) => request(() => create(object)),
      replace: (_: unknown, object: KubeObject) => request(() => replace(object)),
      delete: (_: unknown, ref: { namespace?: string; name: string }, options?: DeleteOptions) =>
        request(() => remove(keyOf({ metadata: ref }), options)),
      watch: async (_: unknown, options: WatchOptions) => watch(options, hold),
    };
    return client as unknown as MemoryClient; // generic methods over the one type that is stored
  }

  return { objects: () => [...objects.values()], writes: () => version, clientFor };
}

function versionOf(event: WatchEvent<KubeObject>): number {
  return event.type === 'ERROR' ? 0 : Number(event.object.metadata?.resourceVersion);
}

/** Equality terms only: `a=b,c=d`. */
function selected(object: KubeObject, selector: string | undefined): boolean {
  if (!selector) return true;
  return selector.split(',').every((term) => {
    const [name = '', value] = term.split('=');
    return object.metadata?.labels?.[name] === value;
  });
}

function failure(httpStatus: number, reason: string): KubeError {
  return new KubeError('failed_precondition', `${httpStatus} ${reason}`, { httpStatus, reason });
}
