// What one node reports on its Devices, taken into the coalescing set.
// Invariants: a node speaks of Devices on it only; applied means merged, the write to the API follows within the cycle and the budget.
import {
  APPLIED,
  GONE,
  persistently,
  type RetryOptions,
  rejected,
  rejectionOf,
} from '@skerry/common/controller/settlement';
import { isSkerryError } from '@skerry/common/errors';
import { type ParsedKey, parseKey } from '@skerry/common/keys';
import type { KubeClient } from '@skerry/common/kube/client';
import { isNotFound } from '@skerry/common/kube/kube-error';
import { DEVICES } from '@skerry/common/kube/resources';
import { STALE_EPOCH } from '@skerry/common/link/state-sender';
import type { Entry, Settlement, StateSink } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';
import { Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import { type DeviceRecord, deviceRecord } from '../desired/projections.js';
import { parseDeviceReport } from './device-status.js';
import type { StatusWriter } from './status-writer.js';

export interface ReportCounters {
  applied: number;
  gone: number;
  rejected: number;
}

export interface DeviceSinkOptions {
  readonly node: string;
  readonly client: KubeClient;
  /** A Device that is known here, on whichever node. */
  readonly device: (namespace: string, name: string) => DeviceRecord | undefined;
  readonly writer: StatusWriter;
  readonly counters: ReportCounters;
  readonly retry: RetryOptions;
  readonly logger: Logger;
}

export function createDeviceSink(options: DeviceSinkOptions): StateSink {
  const { node, client, writer, counters, logger } = options;

  /** One that is not known here may be new: the API knows. */
  async function find({ namespace, name }: ParsedKey): Promise<DeviceRecord | undefined> {
    const known = options.device(namespace, name);
    if (known?.node === node) return known;
    try {
      return deviceRecord(
        await persistently((signal) => client.get(DEVICES, { namespace, name }, { signal }), options.retry),
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async function take(key: string, entry: Entry): Promise<Settlement> {
    const parsed = parseKey(key);
    if (parsed.kind !== 'devicestatus') return rejected('UnknownKind', `devicecontroller takes no ${parsed.kind}`);
    const report = parseDeviceReport(entry.payload);
    const device = await find(parsed);
    if (!device) return GONE;
    if (device.node !== node)
      return rejected('Forbidden', `Device ${parsed.namespace}/${parsed.name} is not on node ${node}`);
    const merged = writer.report(device, { key, version: entry.version, fields: report });
    return merged ? APPLIED : rejected(STALE_EPOCH, `the shard of node ${node} is served elsewhere by now`);
  }

  function count(key: string, settlement: Settlement): void {
    if (settlement.outcome === Done_Outcome.OUTCOME_APPLIED) counters.applied += 1;
    else if (settlement.outcome === Done_Outcome.OUTCOME_GONE) counters.gone += 1;
    else {
      counters.rejected += 1;
      logger.warn('device status rejected', { node, key, code: settlement.code, reason: settlement.reason });
    }
  }

  return {
    versions: () => writer.versions(node),
    async put(key, entry) {
      const settlement = await take(key, entry).catch((error: unknown) => {
        if (isSkerryError(error)) return rejectionOf(error);
        throw error;
      });
      count(key, settlement);
      return settlement;
    },
    // The edge knows nothing of the Device any longer; the DeviceStatus ends with its Device.
    async delete(key) {
      writer.forget(node, key);
      return APPLIED;
    },
    synced: async () => {},
    unsynced: () => false,
  };
}
