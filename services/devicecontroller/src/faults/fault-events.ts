// Tells the user what is wrong with a Device, as Events on it.
// Invariant: the same fault of the same Device and model is one Event, however often it is found: its name is a hash of all three.
import type { Clock } from '@skerry/common/clock';
import { isRefusal } from '@skerry/common/controller/settlement';
import type { KubeClient } from '@skerry/common/kube/client';
import { postEvent } from '@skerry/common/kube/events';
import { createReconciler, type Reconciler, type ReconcilerMetrics } from '@skerry/common/kube/reconciler';
import type { Entry } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';
import type { DeviceRecord, PlacedDevice } from '../desired/projections.js';
import { type DeviceSpec, type Fault, faultsOf, type ModelSpec } from './faults.js';

export interface FaultEventsOptions {
  readonly client: KubeClient;
  /** By key; undefined when it is gone. */
  readonly device: (key: string) => PlacedDevice | undefined;
  /** What is known of a Device's model; undefined while nothing is. */
  readonly model: (device: PlacedDevice) => Entry | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface FaultEvents extends Reconciler {
  /** An Event about something that was found elsewhere. */
  tell(device: DeviceRecord, fault: Fault): void;
  metrics(): ReconcilerMetrics & {
    /** Events that the API refused, or that were one too many. */
    readonly dropped: number;
  };
}

const COMPONENT = 'devicecontroller';
const WORKERS = 2;
const BACKOFF = { baseMs: 1_000, maxMs: 60_000 };
/** Faults told by others that wait for their turn. */
const MAX_TOLD = 1_000;

export function createFaultEvents(options: FaultEventsOptions): FaultEvents {
  const { client, clock, random, logger } = options;
  /** Per device key, what was posted last. */
  const posted = new Map<string, string>();
  let dropped = 0;
  const told = new Map<string, { readonly device: DeviceRecord; readonly fault: Fault }>();

  async function check(key: string, signal: AbortSignal): Promise<undefined> {
    const other = told.get(key);
    if (other) {
      await post(other.device, other.fault, key, signal);
      told.delete(key);
      return;
    }
    const device = options.device(key);
    if (!device) {
      posted.delete(key);
      return;
    }
    const model = options.model(device);
    if (device.model !== undefined && !model) return; // comes again when the model is known
    const state = `${device.uid}/${device.entry.version}/${model?.version ?? ''}`;
    if (posted.get(key) === state) return;
    for (const fault of faultsOf(specOf<DeviceSpec>(device.entry), modelSpecOf(model)))
      await post(device, fault, `${state}/${fault.reason}`, signal);
    posted.set(key, state);
  }

  async function post(device: DeviceRecord, fault: Fault, id: string, signal: AbortSignal): Promise<void> {
    const nowMs = clock.nowMs();
    const event = {
      id,
      involved: {
        apiVersion: 'devices.kubeedge.io/v1beta1',
        kind: 'Device',
        namespace: device.namespace,
        name: device.name,
        uid: device.uid,
      },
      type: 'Warning',
      reason: fault.reason,
      message: fault.message,
      count: 1,
      firstMs: nowMs,
      lastMs: nowMs,
      component: COMPONENT,
    } as const;
    try {
      await postEvent(client, event, { signal });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      dropped += 1;
      logger.debug('event dropped', { device: device.name, reason: fault.reason, error: error.message });
    }
  }

  const reconciler = createReconciler({
    name: 'device faults',
    workers: WORKERS,
    reconcile: check,
    backoff: BACKOFF,
    clock,
    random,
    logger,
  });
  return {
    ...reconciler,
    metrics: () => ({ ...reconciler.metrics(), dropped }),
    tell(device, fault) {
      if (told.size >= MAX_TOLD) {
        dropped += 1;
        return;
      }
      const key = `told/${device.uid}/${fault.reason}/${fault.message}`;
      told.set(key, { device, fault });
      reconciler.add(key);
    },
  };
}

function modelSpecOf(model: Entry | undefined): ModelSpec | undefined {
  return model && !model.absent ? specOf<ModelSpec>(model) : undefined;
}

/** Of a payload that the projections of this service have made. */
function specOf<T extends object>(entry: Entry): T {
  const { spec } = JSON.parse(Buffer.from(entry.payload).toString('utf8')) as { spec?: T };
  return spec ?? ({} as T);
}
