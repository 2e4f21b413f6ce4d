// StatusService: what a person on the node asks. Reads only.
import type { GetStatusResponse, SidecarStatus, StatusServiceServer } from '@skerry/gen/skerry/edge/v1/edge';
import { Controller } from '@skerry/gen/skerry/link/v1/link';
import type { HubStatus } from '../hub/hub-client.js';
import type { MetaStats } from '../meta/types.js';
import type { SidecarAlive } from '../supervisor/alive.js';
import type { Supervisor } from '../supervisor/supervisor.js';

export interface StatusSources {
  readonly node: string;
  readonly softwareVersion: string;
  /** host:port */
  readonly hub: string;
  readonly link: () => HubStatus;
  readonly pendingUp: () => number;
  readonly putsApplied: () => bigint;
  readonly upsSettled: () => bigint;
  readonly sidecars: Supervisor['sidecars'];
  readonly alive: (sidecar: string) => SidecarAlive | undefined;
  readonly store: () => MetaStats;
  readonly isSynced: () => boolean;
}

export function createStatusService(sources: StatusSources): StatusServiceServer {
  return { getStatus: (_call, callback) => callback(null, statusOf(sources)) };
}

export function statusOf(sources: StatusSources): GetStatusResponse {
  const link = sources.link();
  const store = sources.store();
  return {
    node: sources.node,
    softwareVersion: sources.softwareVersion,
    link: {
      state: link.state,
      hub: sources.hub,
      sinceUnixMs: BigInt(Math.trunc(link.sinceMs)),
      lastError: link.lastError,
      pendingUp: sources.pendingUp(),
      kubeAttached: link.attached.has(Controller.CONTROLLER_KUBE),
      deviceAttached: link.attached.has(Controller.CONTROLLER_DEVICE),
      putsApplied: sources.putsApplied(),
      upsSettled: sources.upsSettled(),
      connects: BigInt(link.connects),
    },
    sidecars: sources.sidecars().map((sidecar) => sidecarStatus(sidecar, sources.alive(sidecar.name))),
    store: { entries: store.entries, synced: sources.isSynced(), quarantined: store.quarantined },
  };
}

function sidecarStatus(
  { name, state, restarts, lastExit }: ReturnType<Supervisor['sidecars']>[number],
  alive: SidecarAlive | undefined,
): SidecarStatus {
  return {
    ...{ name, restarts, lastExit, state: state.kind },
    pid: 'pid' in state ? state.pid : 0,
    // A sidecar that says nothing about its work is taken at its process's word.
    ok: state.kind === 'running' && (alive?.ok ?? true),
    reason: state.kind === 'running' ? (alive?.reason ?? '') : lastExit,
  };
}
