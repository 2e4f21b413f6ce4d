// The engine: keeps the containers of this node equal to the desired Pods, and tells what it sees. It knows edgecore, not the cloud.
// Invariants: stopping the engine stops no container; nothing is removed before the list of wanted Pods is whole; Alive is told only after
// the runtime has answered, so that silence means that the work stands still.
import { dirname, join } from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import type { Clock, Timer } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import { unary, unixClient } from '@skerry/common/grpc/client';
import { createGrpcServer } from '@skerry/common/grpc/server';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import { ReportServiceClient } from '@skerry/gen/skerry/edge/v1/edge';
import { acquireExclusive, type Exclusive } from '../disk/exclusive.js';
import { passableFolder } from '../disk/files.js';
import { hostAddresses } from '../host-addresses.js';
import type { Reconnecting } from '../sidecar/reconnect.js';
import { createDesiredState } from './desired/desired-state.js';
import { watchMeta } from './desired/meta-watch.js';
import { engineService } from './engine-service.js';
import { CRASH_BACKOFF, type CrashBackoff } from './plan/backoff.js';
import { createPodWorkers } from './pod-workers.js';
import { createEventRecorder } from './report/events.js';
import { createReporter } from './report/reporter.js';
import type { Runtime } from './runtime/runtime.js';
import { createVolumes } from './volume/volumes.js';
import { createRecords } from './worker/records.js';

export interface EngineOptions {
  /** Name of the node. */
  readonly node: string;
  /** Unix socket of edgecore. */
  readonly edgecoreSocket: string;
  /** Unix socket that the engine serves on. */
  readonly socket: string;
  /** Pods' volumes and records are kept in `<stateDir>/engine/pods`. */
  readonly stateDir: string;
  readonly runtime: Runtime;
  readonly hostIPs?: () => readonly string[];
  readonly backoff?: CrashBackoff;
  readonly clock: Clock;
  readonly logger: Logger;
}

export const EVENTS_STREAM = 'kube-events';
/** How often the runtime is listed and Alive is told; well within the 60 s after which the node is not ready. */
const SWEEP_MS = 10_000;
/** How long edgecore may take to store Events. */
const APPEND_TIMEOUT_MS = 5_000;

export function createEngine(options: EngineOptions): Component {
  const { node, edgecoreSocket, socket, runtime, clock, logger } = options;
  const podsDir = join(options.stateDir, 'engine', 'pods');
  const reports = unixClient(ReportServiceClient, edgecoreSocket);
  const reporter = createReporter({ edgecoreSocket, clock, logger });
  const recorder = createEventRecorder({ append, clock, logger });
  const desired = createDesiredState((key, reason) => logger.error('desired entry not usable', { key, reason }));
  const volumes = createVolumes({ dir: podsDir, ...(runtime.profile.user ? { owner: runtime.profile.user } : {}) });
  const workers = createPodWorkers(desired, reporter, {
    runtime,
    volumes,
    records: createRecords(podsDir),
    recorder,
    onTold: completeReport,
    nodeName: node,
    hostIPs: options.hostIPs ?? hostAddresses,
    backoff: options.backoff ?? CRASH_BACKOFF,
    clock,
    logger,
  });
  const server = createGrpcServer({
    name: 'engine',
    services: [engineService(workers.known)],
    listen: { kind: 'unix', path: socket },
    clock,
    logger,
  });

  let lock: Exclusive | undefined;
  let watch: Reconnecting | undefined;
  let unsubscribe: (() => void) | undefined;
  let timer: Timer | undefined;
  let sweeping: Promise<void> | undefined;
  let stopped = false;
  let complete = false;

  async function start(): Promise<void> {
    lock = await acquireExclusive(join(dirname(socket), 'engine.lock'));
    try {
      for (const dir of [dirname(podsDir), podsDir]) await passableFolder(dir);
      await runtime.start();
      unsubscribe = runtime.subscribe(workers.hint);
      await server.start();
    } catch (error) {
      await stop(AbortSignal.abort());
      throw error;
    }
    reporter.start();
    watch = watchMeta({ edgecoreSocket, desired, onChange, clock, logger });
  }

  function onChange(podUids: readonly string[], listed: boolean): void {
    workers.changed(podUids);
    if (listed) sweep();
  }

  /** What was told is all there is, once each wanted Pod has been looked at. */
  function completeReport(): void {
    if (complete || !desired.synced() || !workers.allTold()) return;
    complete = true;
    reporter.ready();
  }

  /** Never two at once; the next one is armed when one has ended. */
  function sweep(): void {
    timer?.cancel();
    if (!stopped)
      sweeping ??= sweepOnce().finally(() => {
        sweeping = undefined;
        if (!stopped) timer = clock.after(SWEEP_MS, sweep);
      });
  }

  async function sweepOnce(): Promise<void> {
    try {
      workers.sweep(await runtime.list(), await volumes.pods());
      completeReport();
      reporter.alive({ ok: true, reason: '' });
      server.setServing(true);
    } catch (error) {
      logger.error('runtime does not answer', { runtime: runtime.profile.name, error: messageOf(error) });
      reporter.alive({ ok: false, reason: `runtime ${runtime.profile.name}: ${messageOf(error)}` });
      server.setServing(false);
    }
  }

  async function append(payloads: readonly Buffer[]): Promise<void> {
    const deadline = clock.nowMs() + APPEND_TIMEOUT_MS;
    await unary((done) =>
      reports.appendLog({ stream: EVENTS_STREAM, payloads: [...payloads] }, new Metadata(), { deadline }, done),
    );
  }

  async function stop(deadline: AbortSignal): Promise<void> {
    stopped = true;
    timer?.cancel();
    unsubscribe?.();
    await watch?.stop();
    await sweeping;
    await workers.stop();
    await recorder.stop(deadline);
    await reporter.stop();
    reports.close();
    await server.stop(deadline);
    await runtime.stop();
    await lock?.release();
  }

  return { name: 'engine', start, stop };
}
