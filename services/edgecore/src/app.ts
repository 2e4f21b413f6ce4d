// Wires edgecore: stores, lane sessions, the local API, the supervisor and the hub client, in the order in which they start.
// Invariant: the stores open first and close last, and whoever holds them holds the state folder.
import type { Clock } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import { createGrpcServer } from '@skerry/common/grpc/server';
import { DOWN_KINDS, UP_KINDS } from '@skerry/common/keys';
import type { Component } from '@skerry/common/lifecycle';
import { createLaneSession } from '@skerry/common/link/lane-session';
import type { LaneSession, LogSource } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';
import {
  CloudCallServiceService,
  MetaServiceService,
  ReportServiceService,
  StatusServiceService,
} from '@skerry/gen/skerry/edge/v1/edge';
import { Controller } from '@skerry/gen/skerry/link/v1/link';
import { createCloudCallService } from './api/cloud-call.js';
import { createReportService } from './api/report.js';
import { createStatusService } from './api/status.js';
import { createWatchService } from './api/watch.js';
import { type Layout, layoutOf, SIDECARS, type SidecarName } from './config/layout.js';
import type { EdgecoreOptions } from './config/options.js';
import { SOFTWARE_VERSION } from './config/version.js';
import { createDesiredSink, type DesiredSink, distrustStore } from './hub/desired-sink.js';
import { createGeneration } from './hub/generation.js';
import { createHubClient, type HubClient } from './hub/hub-client.js';
import { createObservedState, type ObservedState } from './hub/observed-state.js';
import { createIdentityKeeper } from './identity/enrolment.js';
import { createSegmentLog, type SegmentLog } from './log/segment-log.js';
import { openMetaStore } from './meta/meta-store.js';
import { createNedbBackend } from './meta/nedb-backend.js';
import type { MetaStore } from './meta/types.js';
import { createNodeClock } from './node/node-clock.js';
import { readNodeFacts } from './node/node-facts.js';
import { createNodeReporter } from './node/node-reporter.js';
import type { SidecarAlive } from './supervisor/alive.js';
import type { Launcher } from './supervisor/launcher.js';
import { createSupervisor } from './supervisor/supervisor.js';

export interface EdgecoreEnvironment {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly launch: Launcher<SidecarName>;
}

type ControllerName = keyof typeof DOWN_KINDS;

const CONTROLLERS: Readonly<Record<ControllerName, Controller>> = {
  kube: Controller.CONTROLLER_KUBE,
  device: Controller.CONTROLLER_DEVICE,
};
const NAMES = Object.keys(CONTROLLERS) as ControllerName[];
/** Without their word nothing is missing for being absent. */
const REQUIRED_REPORTERS: Readonly<Record<ControllerName, readonly string[]>> = {
  kube: ['edgecore', 'engine'],
  device: ['twin'],
};

const KUBE_EVENTS = 'kube-events';
const KUBE_EVENTS_BYTES = 8 * 1024 * 1024;
/** Kubernetes itself forgets Events after an hour. */
const KUBE_EVENTS_AGE_MS = 3_600_000;

interface Stores {
  readonly meta: MetaStore;
  readonly kubeEvents: SegmentLog;
}

/** What edgecore and one controller have in common. */
interface Lane {
  readonly observed: ObservedState;
  readonly sink: DesiredSink;
  readonly session: LaneSession;
}

/** Opens the stores and returns everything that has to be started, in order. Throws when the state folder cannot be used. */
export async function openEdgecore(options: EdgecoreOptions, environment: EdgecoreEnvironment): Promise<Component[]> {
  const { clock, logger, launch } = environment;
  const layout = layoutOf(options.stateDir);
  const stores = await openStores(layout, environment);
  const { meta, kubeEvents } = stores;
  const alive = new Map<string, SidecarAlive>();
  const nodeClock = createNodeClock({ meta, clock, logger });

  const reconnect = (reason: string): void => hubClient.reconnect(reason);
  const watch = createWatchService({ meta, isSynced: (name) => !lanes[name].sink.unsynced() });
  const laneOf = (name: ControllerName, logs: readonly LogSource[]): Lane =>
    createLane(name, { meta, logs, onSynced: watch.syncedChanged, reconnect, clock, logger });
  const lanes: Readonly<Record<ControllerName, Lane>> = {
    kube: laneOf('kube', [kubeEvents]),
    device: laneOf('device', []),
  };

  const hubClient: HubClient = createHubClient({
    ...{ node: options.node, hub: options.hub, softwareVersion: SOFTWARE_VERSION, storeEpoch: kubeEvents.epoch },
    identity: createIdentityKeeper({ ...options, dir: layout.pki, clock, logger }),
    generation: createGeneration(meta),
    sessions: new Map(NAMES.map((name) => [CONTROLLERS[name], lanes[name].session])),
    ...{ nodeClock, clock, logger: logger.child({ part: 'hub' }) },
  });
  const supervisor = createSupervisor({ names: SIDECARS, launch, clock, logger: logger.child({ part: 'supervisor' }) });
  const nodeReporter = createNodeReporter({
    ...{ node: options.node, runtime: options.runtime, softwareVersion: SOFTWARE_VERSION, meta, clock, logger },
    openReporter: () => lanes.kube.observed.open('edgecore', () => {}),
    readFacts: () => readNodeFacts(options.stateDir),
    engineAlive: () => alive.get('engine'),
    cloudNowMs: nodeClock.cloudNowMs,
  });
  const onAlive = (sidecar: string, sign: SidecarAlive): void => {
    const before = alive.get(sidecar);
    alive.set(sidecar, sign);
    if (sidecar === 'engine' && before?.ok !== sign.ok) nodeReporter.look();
  };

  const byName = <T>(value: (name: ControllerName) => T): Map<string, T> =>
    new Map(NAMES.map((name) => [name, value(name)]));
  const report = createReportService({
    tables: byName((name) => lanes[name].observed),
    logs: new Map([[KUBE_EVENTS, kubeEvents]]),
    onLogGrew: (stream) => lanes.kube.session.logGrew(stream),
    ...{ onAlive, clock },
  });
  const status = createStatusService({
    ...{ node: options.node, softwareVersion: SOFTWARE_VERSION, hub: `${options.hub.host}:${options.hub.port}` },
    link: hubClient.status,
    pendingUp: () => NAMES.reduce((sum, name) => sum + lanes[name].observed.pending(), 0),
    putsApplied: () => NAMES.reduce((sum, name) => sum + lanes[name].sink.applied(), 0n),
    upsSettled: () => NAMES.reduce((sum, name) => sum + lanes[name].observed.answered(), 0n),
    sidecars: supervisor.sidecars,
    alive: (sidecar) => alive.get(sidecar),
    store: meta.stats,
    isSynced: () => NAMES.every((name) => !lanes[name].sink.unsynced()),
  });
  const server = createGrpcServer({
    name: 'edgecore',
    listen: { kind: 'unix', path: layout.edgecoreSocket },
    services: [
      { definition: MetaServiceService, implementation: watch.implementation },
      { definition: ReportServiceService, implementation: report },
      {
        definition: CloudCallServiceService,
        implementation: createCloudCallService(byName((name) => lanes[name].session)),
      },
      { definition: StatusServiceService, implementation: status },
    ],
    ...{ clock, logger },
  });
  return [storesComponent(stores), nodeClock, server, nodeReporter, supervisor, hubClient];
}

async function openStores(layout: Layout, { clock, logger }: EdgecoreEnvironment): Promise<Stores> {
  const backend = createNedbBackend({
    ...{ file: layout.metaFile, keyFile: layout.storeKey, lockFile: layout.edgecoreLock, clock, logger },
  });
  const meta = await openMetaStore({ backend, clock, logger });
  try {
    if (meta.origin === 'torn') await distrustStore(meta, NAMES);
    const kubeEvents = await createSegmentLog({
      ...{ dir: layout.kubeEvents, stream: KUBE_EVENTS, clock, logger },
      ...{ maxBytes: KUBE_EVENTS_BYTES, maxAgeMs: KUBE_EVENTS_AGE_MS },
    });
    return { meta, kubeEvents };
  } catch (error) {
    await meta.close();
    throw error;
  }
}

/** They are open already; this is their place in the order of stopping. */
function storesComponent({ meta, kubeEvents }: Stores): Component {
  return {
    name: 'stores',
    async start() {},
    async stop() {
      await kubeEvents.close();
      await meta.close();
    },
  };
}

interface LaneParts {
  readonly meta: MetaStore;
  readonly logs: readonly LogSource[];
  readonly onSynced: () => void;
  readonly reconnect: (reason: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

function createLane(name: ControllerName, { meta, logs, onSynced, reconnect, clock, logger }: LaneParts): Lane {
  const observed = createObservedState({
    ...{ meta, kinds: UP_KINDS[name], required: REQUIRED_REPORTERS[name] },
    onError: (error) => logger.warn('the outbox could not be written', { controller: name, error: messageOf(error) }),
  });
  const sink = createDesiredSink({
    ...{ controller: name, kinds: DOWN_KINDS[name], meta, onSynced },
    onStoreFailed: () => reconnect('the meta store could not be written'),
  });
  const session = createLaneSession({
    ...{ role: 'edge' as const, controller: CONTROLLERS[name], node: '', source: observed, sink },
    ...{ logSources: logs, logSink: undefined, onCall: undefined, clock, logger: logger.child({ controller: name }) },
  });
  observed.follow(session);
  return { observed, sink, session };
}
