// Where everything lies under the state folder. Sockets and locks share a private folder with short names: a unix socket's path ends at
// 107 bytes.
import { join } from 'node:path';

export const SIDECARS = ['engine', 'twin', 'bridge'] as const;
export type SidecarName = (typeof SIDECARS)[number];

export function isSidecarName(text: string): text is SidecarName {
  return (SIDECARS as readonly string[]).includes(text);
}

export interface Layout {
  readonly edgecoreSocket: string;
  /** Held by the one edgecore that may use this folder. */
  readonly edgecoreLock: string;
  readonly metaFile: string;
  readonly storeKey: string;
  readonly pki: string;
  readonly kubeEvents: string;
  socketOf(sidecar: SidecarName): string;
  /** Held by a sidecar as long as it lives; it finds the place beside its socket. */
  lockOf(sidecar: SidecarName): string;
  stateOf(sidecar: SidecarName): string;
}

export function layoutOf(stateDir: string): Layout {
  const run = join(stateDir, 'run');
  return {
    edgecoreSocket: join(run, 'edgecore.sock'),
    edgecoreLock: join(run, 'edgecore.lock'),
    metaFile: join(stateDir, 'meta', 'meta.db'),
    storeKey: join(stateDir, 'pki', 'store.key'),
    pki: join(stateDir, 'pki'),
    kubeEvents: join(stateDir, 'log', 'kube-events'),
    socketOf: (sidecar) => join(run, `${sidecar}.sock`),
    lockOf: (sidecar) => join(run, `${sidecar}.lock`),
    // The engine makes a folder of its name itself.
    stateOf: (sidecar) => (sidecar === 'engine' ? stateDir : join(stateDir, sidecar)),
  };
}
