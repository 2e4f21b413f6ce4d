// What is known of each Device's status: the newest report, and what the API has. Pure.
// Invariants: a target is of one Device (by UID) under one claim of its shard; when the claim ends, everything that was known ends with it,
// because another replica may have written since; what one node reported is not true of the Device on another.
import { shardOf } from '@skerry/common/kube/shard';
import type { DeviceRecord } from '../desired/projections.js';
import type { StatusFields } from './device-status.js';
import type { StatusObject } from './status-objects.js';

export interface Report {
  readonly key: string;
  readonly version: string;
  readonly fields: StatusFields;
}

export interface Target {
  device: DeviceRecord;
  /** Of the claim under which all below was learned. */
  readonly epoch: number;
  report: Report | undefined;
  /** What the API has; undefined while that is not certain. */
  object: StatusObject | undefined;
  /** Monotonic ms. */
  nextWriteMs: number;
  /** The API may not have what it should. */
  dirty: boolean;
}

export interface DeviceTargets {
  /** The target of this very Device, made if need be; undefined when its shard is not served here. */
  of(device: DeviceRecord): Target | undefined;
  /** By `<namespace>/<name>`. */
  get(key: string): Target | undefined;
  onNode(node: string): Target[];
  all(): Target[];
  /** Drops that Device's target, not one of a successor. */
  drop(key: string, uid: string): void;
}

export const targetKey = ({ namespace, name }: Pick<DeviceRecord, 'namespace' | 'name'>): string =>
  `${namespace}/${name}`;

export function createDeviceTargets(epochOf: (shard: number) => number | undefined): DeviceTargets {
  const targets = new Map<string, Target>();
  const byNode = new Map<string, Set<Target>>();

  function isCurrent({ device, epoch }: Target): boolean {
    return epochOf(shardOf(device.node)) === epoch;
  }

  function get(key: string): Target | undefined {
    const target = targets.get(key);
    if (!target || isCurrent(target)) return target;
    remove(target);
    return undefined;
  }

  function of(device: DeviceRecord): Target | undefined {
    const known = get(targetKey(device));
    if (known?.device.uid === device.uid && known.device.node === device.node) {
      known.device = device;
      return known;
    }
    if (known) remove(known);
    const epoch = epochOf(shardOf(device.node));
    return epoch === undefined
      ? undefined
      : add({ device, epoch, report: undefined, object: undefined, nextWriteMs: 0, dirty: false });
  }

  function add(target: Target): Target {
    const { node } = target.device;
    targets.set(targetKey(target.device), target);
    const there = byNode.get(node) ?? new Set();
    byNode.set(node, there.add(target));
    return target;
  }

  function remove(target: Target): void {
    const { node } = target.device;
    targets.delete(targetKey(target.device));
    const there = byNode.get(node);
    there?.delete(target);
    if (there?.size === 0) byNode.delete(node);
  }

  return {
    of,
    get,
    onNode: (node) => [...(byNode.get(node) ?? [])].filter(isCurrent),
    all: () => [...targets.values()].filter(isCurrent),
    drop(key, uid) {
      const target = targets.get(key);
      if (target?.device.uid === uid) remove(target);
    },
  };
}
