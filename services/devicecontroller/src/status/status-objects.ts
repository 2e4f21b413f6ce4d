// The DeviceStatus object of a Device: found, made or taken over, and patched.
// Invariants: a Device never gets the DeviceStatus of its predecessor of the same name; every write names the UID it is for and the
// resourceVersion that it follows, so a replica that stood still in the middle of a write changes nothing afterwards.
import type { KubeClient } from '@skerry/common/kube/client';
import type { DeviceStatus } from '@skerry/common/kube/device-types';
import { isNotFound } from '@skerry/common/kube/kube-error';
import type { OwnerReference } from '@skerry/common/kube/object';
import { DEVICE_STATUSES } from '@skerry/common/kube/resources';
import type { DeviceRecord } from '../desired/projections.js';
import type { StatusFields } from './device-status.js';

export interface StatusObject {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly fields: StatusFields;
}

export interface StatusObjects {
  /** Reads the Device's DeviceStatus, making it when it is missing. Throws KubeError. */
  ensure(device: DeviceRecord, signal: AbortSignal): Promise<StatusObject>;
  /** Merge patch; members left out stay. Throws KubeError: 404 or 409 when the object is another, or somebody wrote, since `last`. */
  write(device: DeviceRecord, last: StatusObject, fields: StatusFields, signal: AbortSignal): Promise<StatusObject>;
}

export function createStatusObjects(client: KubeClient): StatusObjects {
  async function ensure(device: DeviceRecord, signal: AbortSignal): Promise<StatusObject> {
    const found = await find(device, signal);
    if (!found) return objectOf(await client.create(DEVICE_STATUSES, newStatus(device), { signal }));
    const owner = ownerUid(found);
    if (owner === device.uid) return objectOf(found);
    if (owner !== undefined) return replacePredecessor(device, found, signal);
    const ownerReferences = [...(found.metadata?.ownerReferences ?? []), ownerOf(device)];
    const { uid, resourceVersion } = found.metadata ?? {};
    const body = { metadata: { uid, resourceVersion, ownerReferences } };
    return objectOf(await client.patch(DEVICE_STATUSES, refOf(device), { type: 'merge', body }, { signal }));
  }

  /** The garbage collector would remove it as well, later. */
  async function replacePredecessor(
    device: DeviceRecord,
    { metadata }: DeviceStatus,
    signal: AbortSignal,
  ): Promise<StatusObject> {
    await client.delete(DEVICE_STATUSES, refOf(device), { ...(metadata?.uid && { uid: metadata.uid }), signal });
    return objectOf(await client.create(DEVICE_STATUSES, newStatus(device), { signal }));
  }

  async function find(device: DeviceRecord, signal: AbortSignal): Promise<DeviceStatus | undefined> {
    try {
      return await client.get(DEVICE_STATUSES, refOf(device), { signal });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  return {
    ensure,
    async write(device, { uid, resourceVersion }, fields, signal) {
      const body = { metadata: { uid, resourceVersion }, status: fields };
      return objectOf(await client.patch(DEVICE_STATUSES, refOf(device), { type: 'merge', body }, { signal }));
    },
  };
}

const DEVICE_API = 'devices.kubeedge.io/v1beta1';

/** UID of the Device that controls a DeviceStatus. */
export function ownerUid(status: DeviceStatus): string | undefined {
  return status.metadata?.ownerReferences?.find(({ kind, controller }) => kind === 'Device' && controller)?.uid;
}

function newStatus(device: DeviceRecord): DeviceStatus {
  return { metadata: { ...refOf(device), ownerReferences: [ownerOf(device)] }, spec: {}, status: {} };
}

function ownerOf({ name, uid }: DeviceRecord): OwnerReference {
  return { apiVersion: DEVICE_API, kind: 'Device', name, uid, controller: true };
}

function objectOf({ metadata, status }: DeviceStatus): StatusObject {
  return { uid: metadata?.uid ?? '', resourceVersion: metadata?.resourceVersion ?? '', fields: status ?? {} };
}

function refOf({ namespace, name }: DeviceRecord): { namespace: string; name: string } {
  return { namespace, name };
}
