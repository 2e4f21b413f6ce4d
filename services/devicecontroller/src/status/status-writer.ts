// The coalescing set: the newest reported status of every Device, written to its DeviceStatus no more often than allowed.
// Invariants: one write per Device at a time, newest value, never an older one after it; per Device at most one write a cycle, all together
// within the budget; what could not be written stays and is tried again, as long as the shard is served here; what a crash loses is made
// good by the edge's comparison, because `versions` starts empty.
import { sharedAbortController } from '@skerry/common/abort';
import type { Clock } from '@skerry/common/clock';
import { isRefusal } from '@skerry/common/controller/settlement';
import { messageOf } from '@skerry/common/errors';
import type { KubeClient } from '@skerry/common/kube/client';
import { isNotFound } from '@skerry/common/kube/kube-error';
import { createLimiter } from '@skerry/common/kube/limiter';
import { createReconciler, type ReconcileResult, type ReconcilerMetrics } from '@skerry/common/kube/reconciler';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import { canonicalJson } from '@skerry/common/version';
import type { DeviceRecord } from '../desired/projections.js';
import { foreignTwins, mergeDeviceStatus, type StatusFields } from './device-status.js';
import { createDeviceTargets, type Report, type Target, targetKey } from './device-targets.js';
import { createStatusObjects } from './status-objects.js';

export interface StatusWriterOptions {
  readonly client: KubeClient;
  /** At most one write per Device in this time, in ms. */
  readonly cycleMs: number;
  /** Writes a second of this replica. */
  readonly budgetPerSecond: number;
  /** The claim under which a shard is served; see kube/shard-claims. */
  readonly epochOf: (shard: number) => number | undefined;
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
  /** Merges a report, which replaces what the Device's node reported before. False when its shard is not served here (any longer). */
  report(device: DeviceRecord, report: Report): boolean;
  forget(node: string, key: string): void;
  /** Reports of a node that are in the set, written or not. */
  versions(node: string): Iterable<readonly [key: string, version: string]>;
  stats(): StatusWriterStats;
}

const WORKERS = 16;
const BACKOFF = { baseMs: 250, maxMs: 10_000 };
const NOTHING: StatusFields = {};

export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { cycleMs, budgetPerSecond, clock, random, logger } = options;
  const objects = createStatusObjects(options.client);
  const targets = createDeviceTargets(options.epochOf);
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

  function mark(target: Target): void {
    if (target.dirty) return;
    target.dirty = true;
    queue.add(targetKey(target.device));
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
    if (!object || !target.dirty || targets.get(targetKey(device)) !== target) return;
    const fields = newest(target);
    target.dirty = false;
    target.nextWriteMs = clock.monotonicMs() + cycleMs;
    const written = await objects.write(device, object, fields, signal);
    counters.writes += 1;
    if (target.object === object) target.object = written;
  }

  /** Whether the write took effect is not certain: the API is read again first. Throws what is to be tried again. */
  function failed(target: Target, error: unknown): void {
    target.object = undefined;
    if (isRefusal(error) && !isNotFound(error)) {
      counters.refused += 1;
      target.report = undefined;
      options.onRefused(target.device, error.message);
      return;
    }
    target.dirty = true;
    throw error;
  }

  /** What is left goes out as fast as the budget lets it. */
  async function flush(deadline: AbortSignal): Promise<void> {
    const left = targets.all().filter((target) => target.dirty && target.object);
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
      const target = targets.of(device);
      if (target) mark(target);
    },
    gone: (namespace, name, uid) => targets.drop(targetKey({ namespace, name }), uid),
    lost(namespace, name) {
      const key = targetKey({ namespace, name });
      const target = targets.get(key);
      if (!target) return;
      target.object = undefined;
      target.dirty = true;
      // Also when it is being written, or waits: what is under way then finds no object to write to.
      queue.add(key);
    },
    report(device, report) {
      const target = targets.of(device);
      if (!target) return false;
      counters.reports += 1;
      counters.foreignProperties += foreignTwins(report.fields, device.properties);
      target.report = report;
      mark(target);
      return true;
    },
    forget(node, key) {
      for (const target of targets.onNode(node)) if (target.report?.key === key) target.report = undefined;
    },
    versions: (node) =>
      targets.onNode(node).flatMap(({ report }) => (report ? [[report.key, report.version] as const] : [])),
    stats: () => {
      const all = targets.all();
      return {
        ...counters,
        devices: all.length,
        pending: all.filter(({ dirty }) => dirty).length,
        queue: queue.metrics(),
      };
    },
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
