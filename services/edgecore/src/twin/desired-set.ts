// What the cloud wants of this node's devices, as far as it was heard: Devices and DeviceModels by key. Pure bookkeeping, no effects.
// Invariants: a Device is ready when its model is there or known to be absent; absence of a Device counts only after a complete, synced list.
import { messageOf, SkerryError } from '@skerry/common/errors';
import { deviceKey, deviceModelKey, parseKey } from '@skerry/common/keys';
import type { Device, DeviceModel } from '@skerry/common/kube/device-types';
import type { KubeObject } from '@skerry/common/kube/object';
import type { Entry, WatchResponse } from '@skerry/gen/skerry/edge/v1/edge';
import { deviceId } from './types.js';

export const WATCHED_PREFIXES = ['device/', 'devicemodel/'];

/** What to look at again after an event. */
export type Affected =
  | { readonly kind: 'devices'; readonly ids: readonly string[] }
  /** The list is complete: everything, and what is not in it is gone. */
  | { readonly kind: 'all' }
  | { readonly kind: 'unreadable'; readonly key: string; readonly reason: string };

export type Wanted =
  | { readonly kind: 'present'; readonly device: Device; readonly model: DeviceModel | undefined }
  /** Its model has not come yet. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'gone' }
  /** Not heard of, and the list is not complete. */
  | { readonly kind: 'unknown' };

export interface DesiredSet {
  /** A new watch begins: nothing of the old one is forgotten before the new list is complete. */
  restart(): void;
  accept(event: NonNullable<WatchResponse['event']>): Affected;
  wanted(id: string): Wanted;
  ids(): Iterable<string>;
}

/** Undefined: known not to exist. */
type Model = DeviceModel | undefined;

export function createDesiredSet(): DesiredSet {
  const devices = new Map<string, Device>();
  const models = new Map<string, Model>();
  const removed = new Set<string>();
  let heard = new Set<string>();
  let complete = false;

  function accept(event: NonNullable<WatchResponse['event']>): Affected {
    switch (event.$case) {
      case 'put':
        return put(event.value);
      case 'deleted':
        return forget(event.value.key);
      case 'listed':
        complete = event.value.synced;
        if (complete) forgetUnheard();
        return { kind: 'all' };
    }
  }

  function put(entry: Entry): Affected {
    const { kind, namespace, name } = parseKey(entry.key);
    heard.add(entry.key);
    const id = deviceId(namespace, name);
    if (entry.absent) return putAbsent(kind, id);
    try {
      const content = parseObject(entry.payload);
      if (kind === 'devicemodel') models.set(id, content);
      else devices.set(id, { ...content, metadata: { ...content.metadata, namespace, name } });
    } catch (error) {
      return { kind: 'unreadable', key: entry.key, reason: messageOf(error) };
    }
    removed.delete(id);
    return affected(kind, id);
  }

  function putAbsent(kind: string, id: string): Affected {
    if (kind === 'devicemodel') models.set(id, undefined);
    else forgetDevice(id);
    return affected(kind, id);
  }

  function forgetUnheard(): void {
    for (const key of [...keys()]) if (!heard.has(key)) forget(key);
    removed.clear();
  }

  function forget(key: string): Affected {
    const { kind, namespace, name } = parseKey(key);
    const id = deviceId(namespace, name);
    heard.delete(key);
    if (kind === 'devicemodel') models.delete(id);
    else forgetDevice(id);
    return affected(kind, id);
  }

  function forgetDevice(id: string): void {
    devices.delete(id);
    // Before the list is complete only this tells a deleted device from one that was not heard of.
    if (!complete) removed.add(id);
  }

  function affected(kind: string, id: string): Affected {
    if (kind !== 'devicemodel') return { kind: 'devices', ids: [id] };
    const users = [...devices].filter(([, device]) => modelIdOf(device) === id);
    return { kind: 'devices', ids: users.map(([user]) => user) };
  }

  function wanted(id: string): Wanted {
    const device = devices.get(id);
    if (!device) return complete || removed.has(id) ? { kind: 'gone' } : { kind: 'unknown' };
    const modelId = modelIdOf(device);
    if (modelId === undefined) return { kind: 'present', device, model: undefined };
    return models.has(modelId) ? { kind: 'present', device, model: models.get(modelId) } : { kind: 'waiting' };
  }

  function* keys(): Generator<string> {
    for (const id of devices.keys()) yield toKey(deviceKey, id);
    for (const id of models.keys()) yield toKey(deviceModelKey, id);
  }

  return {
    restart: () => {
      heard = new Set();
      complete = false;
    },
    accept,
    wanted,
    ids: () => devices.keys(),
  };
}

function parseObject(payload: Uint8Array): KubeObject {
  const content: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
  if (typeof content !== 'object' || content === null || !('metadata' in content)) {
    throw new SkerryError('invalid_argument', 'not a Kubernetes object');
  }
  return content as KubeObject;
}

function modelIdOf({ metadata, spec }: Device): string | undefined {
  const name = spec?.deviceModelRef?.name;
  return name === undefined || name === '' ? undefined : deviceId(metadata?.namespace ?? '', name);
}

function toKey(build: (namespace: string, name: string) => string, id: string): string {
  const [namespace = '', name = ''] = id.split('/');
  return build(namespace, name);
}
