// What edges get of Devices and DeviceModels, and what the controller keeps of a Device. Pure.
// Invariant: only what is delivered makes the version. Whoever changes what is delivered raises the number of that projection.
import type { PlacedObject } from '@skerry/common/controller/desired-state';
import { deliveredAnnotations, entryOf } from '@skerry/common/controller/entry';
import { deviceKey, deviceModelKey } from '@skerry/common/keys';
import type { Device, DeviceModel } from '@skerry/common/kube/device-types';
import type { Entry } from '@skerry/common/link/types';

const DEVICE_PROJECTION = 1;
const MODEL_PROJECTION = 1;

/** What is known of a Device on a served node. */
export interface DeviceRecord {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  /** Names of its properties: values of others are not taken. */
  readonly properties: ReadonlySet<string>;
}

export interface PlacedDevice extends PlacedObject, DeviceRecord {
  /** Key of its model; undefined when it names none. */
  readonly model: string | undefined;
}

/** Undefined for a Device without a node, or on one that is not wanted. */
export function placeDevice(device: Device, wants: (node: string) => boolean): PlacedDevice | undefined {
  const record = deviceRecord(device);
  if (record.node === '' || !wants(record.node)) return undefined;
  const { namespace, name, uid } = record;
  const modelName = device.spec?.deviceModelRef?.name;
  const model = modelName ? deviceModelKey(namespace, modelName) : undefined;
  const content = { metadata: deliveredMetadata(device), spec: device.spec };
  return {
    ...record,
    key: deviceKey(namespace, name),
    entry: entryOf({ projection: DEVICE_PROJECTION, uid, content, references: model ? [model] : [] }),
    model,
  };
}

export function deviceRecord(device: Device): DeviceRecord {
  const { namespace = '', name = '', uid = '' } = device.metadata ?? {};
  return {
    namespace,
    name,
    uid,
    node: device.spec?.nodeName ?? '',
    properties: new Set(device.spec?.properties?.map((property) => property.name)),
  };
}

export function modelEntry(model: DeviceModel): Entry {
  const uid = model.metadata?.uid ?? '';
  return entryOf({
    projection: MODEL_PROJECTION,
    uid,
    content: { metadata: deliveredMetadata(model), spec: model.spec },
  });
}

function deliveredMetadata({ metadata = {} }: Device | DeviceModel) {
  const { name, namespace, uid, labels, generation } = metadata;
  return { name, namespace, uid, labels, annotations: deliveredAnnotations(metadata.annotations), generation };
}
