// The coalescing set: the newest reported status of every Device, written to its DeviceStatus no more often than allowed.
// Invariants: one write per Device at a time, newest value, never an older one after it; per Device at most one write a cycle, all together
// within the budget; what could not be written stays and is tried again; what a crash loses is made good by the edge's comparison, because
// `versions` starts empty.
import { sharedAbortController } from '@skerry/common/abort';
import type { Clock } from '@skerry/common/clock';
import { isPassing } from '@skerry/common/controller/settlement';
import { messageOf } from '@skerry/common/errors';
import type { KubeClient } from '@skerry/common/kube/client';
import { isConflict, isKubeError, isNotFound } from '@skerry/common/kube/kube-error';
import { createLimiter } from '@skerry/common/kube/limiter';
import { createReconciler, type ReconcileResult, type ReconcilerMetrics } from '@skerry/common/kube/reconciler';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import { canonicalJson } from '@skerry/common/version';
import type { DeviceRecord } from '../desired/projections.js';
import { foreignTwins, mergeDeviceStatus, type StatusFields } from './device-status.js';
import { createStatusObjects, type StatusObject } from './status-objects.js';

export interface StatusWriterOptions {
  readonly client: KubeClient;
  /** At most one write per Device in this time, in ms. */
  readonly cycleMs: number;
  /** Writes a second of this replica. */
  readonly budgetPerSecond: number;
  /** The API refused a status for good. */
  readonly onRefused: (device: DeviceRecord, reason: string) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface StatusWriterStats {
  readonly devices: number;
  /** Devices whose newest status is not written yet. */
  readonly pending: number;
  readonly reports: number;
  readonly writes: number;
  readonly unchanged: number;
  readonly refused: number;
  /** Values of properties that their Device does not have. */
  readonly foreignProperties: number;
  readonly queue: ReconcilerMetrics;
}

export interface StatusWriter extends Component {
  /** A Device is there or has changed: its DeviceStatus is made, and cut down to its properties. */
  seen(device: DeviceRecord): void;
  gone(namespace: string, name: string, uid: string): void;
  /** Somebody deleted or replaced its DeviceStatus. */
  lost(namespace: string, name: string): void;
  /** Merges a report, which replaces what the Device's node reported before. */
  report(device: DeviceRecord, key: string, version: string, report: StatusFields): void;
  forget(node: string, key: string): void;
  /** Reports of a node that are in the set, written or not. */
  versions(node: string): Iterable<readonly [key: string, version: string]>;
  stats(): StatusWriterStats;
}

interface Target {
  device: DeviceRecord;
  /** The newest report, its key and version; of the node that the Device is on. */
  report: { readonly key: string; readonly version: string; readonly fields: StatusFields } | undefined;
  /** What the API has, once read. */
  object: StatusObject | undefined;
  nextWriteMs: number;
  dirty: boolean;
}

const WORKERS = 16;
const BACKOFF = { baseMs: 250, maxMs: 10_000 };
const NOTHING: StatusFields = {};

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { cycleMs, budgetPerSecond, clock, random, logger } = options;
  const objects = createStatusObjects(options.client);
  const targets = new Map<string, Target>();
  const byNode = new Map<string, Set<Target>>();
  const counters = { reports: 0, writes: 0, unchanged: 0, refused: 0, foreignProperties: 0 };
  const budget = createLimiter({
    maxInFlight: WORKERS,
    maxQueued: WORKERS,
    rate: { perSecond: budgetPerSecond, burst: Math.max(1, Math.ceil(budgetPerSecond / 10)) },
    clock,
  });
  const queue = createReconciler({
    name: 'device status',
    workers: WORKERS,
    reconcile,
    backoff: BACKOFF,
    clock,
    random,
    logger,
  });

  /** The target of this very Device; a predecessor's is dropped. */
  function targetOf(device: DeviceRecord): Target {
    const key = `${device.namespace}/${device.name}`;
    const known = targets.get(key);
    if (known?.device.uid === device.uid) {
      move(known, device);
      return known;
    }
    if (known) drop(key, known);
    const target: Target = { device, report: undefined, object: undefined, nextWriteMs: 0, dirty: false };
    targets.set(key, target);
    enlist(target);
    return target;
  }

  /** What another node said of a Device is not true of this one's. */
  function move(target: Target, device: DeviceRecord): void {
    if (target.device.node !== device.node) {
      delist(target);
      target.report = undefined;
      target.device = device;
      enlist(target);
    }
    target.device = device;
  }

  function enlist(target: Target): void {
    const { node } = target.device;
    const there = byNode.get(node);
    if (there) there.add(target);
    else byNode.set(node, new Set([target]));
  }

  function delist(target: Target): void {
    const there = byNode.get(target.device.node);
    there?.delete(target);
    if (there?.size === 0) byNode.delete(target.device.node);
  }

  function drop(key: string, target: Target): void {
    delist(target);
    targets.delete(key);
  }

  function mark(target: Target): void {
    if (target.dirty) return;
    target.dirty = true;
    queue.add(`${target.device.namespace}/${target.device.name}`);
  }

  async function reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult | undefined> {
    const target = targets.get(key);
    if (!target) return undefined;
    target.object ??= await objects.ensure(target.device, signal);
    const waitMs = target.nextWriteMs - clock.monotonicMs();
    if (target.dirty && waitMs > 0) return { requeueAfterMs: waitMs };
    if (target.dirty) await write(target, signal);
    return undefined;
  }

  async function write(target: Target, signal: AbortSignal): Promise<void> {
    if (isWritten(target)) return settled(target);
    await budget.acquire(signal);
    try {
      await writeNewest(target, signal);
    } catch (error) {
      failed(target, error);
    } finally {
      budget.release();
    }
  }

  function newest({ device, object, report }: Target): StatusFields {
    return mergeDeviceStatus(object?.fields ?? NOTHING, report?.fields ?? NOTHING, device.properties);
  }

  function isWritten(target: Target): boolean {
    return target.object !== undefined && sameFields(target.object.fields, newest(target));
  }

  function settled(target: Target): void {
    target.dirty = false;
    counters.unchanged += 1;
  }

  /** Reads the target after the wait for the budget, so that the newest is written. */
  async function writeNewest(target: Target, signal: AbortSignal): Promise<void> {
    const { device, object } = target;
    if (!object || !target.dirty) return;
    const fields = newest(target);
    target.dirty = false;
    target.nextWriteMs = clock.monotonicMs() + cycleMs;
    await objects.write(device, object.uid, fields, signal);
    counters.writes += 1;
    if (target.object === object) target.object = { uid: object.uid, fields };
  }

  /** Throws what is to be tried again. */
  function failed(target: Target, error: unknown): void {
    if (isNotFound(error) || isConflict(error)) target.object = undefined;
    else if (isKubeError(error) && error.httpStatus !== 0 && !isPassing(error)) {
      counters.refused += 1;
      options.onRefused(target.device, error.message);
      return;
    }
    target.dirty = true;
    throw error;
  }

  /** What is left goes out as fast as the budget lets it. */
  async function flush(deadline: AbortSignal): Promise<void> {
    const left = [...targets.values()].filter((target) => target.dirty && target.object);
    const rest = left[Symbol.iterator]();
    const patience = sharedAbortController();
    deadline.addEventListener('abort', () => patience.abort(deadline.reason), { once: true });
    const worker = async (): Promise<void> => {
      for (const target of rest) {
        await write(target, patience.signal).catch((error: unknown) =>
          logger.warn('device status not written; the edge repeats it', { error: messageOf(error) }),
        );
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, worker));
  }

  return {
    name: 'device status writer',
    seen(device) {
      mark(targetOf(device));
    },
    gone(namespace, name, uid) {
      const key = `${namespace}/${name}`;
      const target = targets.get(key);
      if (target?.device.uid === uid) drop(key, target);
    },
    lost(namespace, name) {
      const target = targets.get(`${namespace}/${name}`);
      if (!target) return;
      target.object = undefined;
      target.dirty = true;
      // Also when it is being written, or waits: what is under way then finds no object to write to.
      queue.add(`${namespace}/${name}`);
    },
    report(device, key, version, fields) {
      const target = targetOf(device);
      counters.reports += 1;
      counters.foreignProperties += foreignTwins(fields, device.properties);
      target.report = { key, version, fields };
      mark(target);
    },
    forget(node, key) {
      for (const target of byNode.get(node) ?? []) if (target.report?.key === key) target.report = undefined;
    },
    *versions(node) {
      for (const { report } of byNode.get(node) ?? []) if (report) yield [report.key, report.version];
    },
    stats: () => ({
      ...counters,
      devices: targets.size,
      pending: [...targets.values()].filter(({ dirty }) => dirty).length,
      queue: queue.metrics(),
    }),
    start: () => queue.start(),
    async stop(deadline) {
      await queue.stop(deadline);
      await flush(deadline);
    },
  };
}

/** The members that this service writes. */
function written({ state, lastOnlineTime, twins = [] }: StatusFields): StatusFields {
  return { ...(state !== undefined && { state }), ...(lastOnlineTime !== undefined && { lastOnlineTime }), twins };
}

function sameFields(a: StatusFields, b: StatusFields): boolean {
  return canonicalJson(written(a)) === canonicalJson(written(b));
}
