// A Kubernetes API of Maps: create, get, replace, delete and list with optimistic concurrency; everything else is refused.
import { SkerryError } from '@skerry/common/errors';
import type { KubeClient } from '@skerry/common/kube/client';
import { KubeError } from '@skerry/common/kube/kube-error';
import { joinKey, type KubeObject, type ObjectRef } from '@skerry/common/kube/object';
import type { Resource } from '@skerry/common/kube/resources';

export interface MemoryKube extends KubeClient {
  /** Called before each verb; may throw, or change something in between. */
  before: (verb: string, resource: string, name: string) => void;
  /** The objects by "<plural>/<namespace>/<name>". */
  readonly objects: Map<string, KubeObject>;
}

export function memoryKube(): MemoryKube {
  const objects = new Map<string, KubeObject>();
  let version = 0;

  const pathOf = (resource: Resource<KubeObject>, ref: ObjectRef): string =>
    `${resource.plural}/${joinKey(ref.namespace, ref.name)}`;
  const refOf = ({ metadata }: KubeObject): ObjectRef => ({
    name: metadata?.name ?? '',
    ...(metadata?.namespace && { namespace: metadata.namespace }),
  });
  const failure = (httpStatus: number, reason: string): KubeError =>
    new KubeError(httpStatus === 404 ? 'not_found' : 'failed_precondition', reason, { httpStatus, reason });
  const refuse = (): never => {
    throw new SkerryError('unsupported', 'not in this fake');
  };

  function put<T extends KubeObject>(path: string, object: T): T {
    version += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    objects.set(path, structuredClone(stored));
    return stored;
  }

  const kube: MemoryKube = {
    objects,
    before: () => {},
    async get<T extends KubeObject>(resource: Resource<T>, ref: ObjectRef): Promise<T> {
      kube.before('get', resource.plural, ref.name);
      const found = objects.get(pathOf(resource, ref));
      if (!found) throw failure(404, 'NotFound');
      return structuredClone(found) as T;
    },
    async create(resource, object) {
      kube.before('create', resource.plural, object.metadata?.name ?? '');
      const path = pathOf(resource, refOf(object));
      if (objects.has(path)) throw failure(409, 'AlreadyExists');
      return put(path, object);
    },
    async replace(resource, object) {
      kube.before('replace', resource.plural, object.metadata?.name ?? '');
      const path = pathOf(resource, refOf(object));
      const found = objects.get(path);
      if (!found) throw failure(404, 'NotFound');
      if (found.metadata?.resourceVersion !== object.metadata?.resourceVersion) throw failure(409, 'Conflict');
      return put(path, object);
    },
    async delete(resource, ref) {
      kube.before('delete', resource.plural, ref.name);
      if (!objects.delete(pathOf(resource, ref))) throw failure(404, 'NotFound');
    },
    async list<T extends KubeObject>(
      resource: Resource<T>,
      options: { namespace?: string; labelSelector?: string } = {},
    ) {
      kube.before('list', resource.plural, '');
      const wanted = (options.labelSelector ?? '').split(',').filter((term) => term !== '');
      const items = [...objects]
        .filter(([path]) => path.startsWith(`${resource.plural}/${options.namespace ?? ''}`))
        .map(([, object]) => structuredClone(object) as T)
        .filter(({ metadata }) =>
          wanted.every((term) => metadata?.labels?.[term.split('=')[0] ?? ''] === term.split('=')[1]),
        );
      return { items, metadata: {} };
    },
    patch: refuse,
    createToken: refuse,
    watch: refuse,
    getPath: refuse,
  };
  return kube;
}
