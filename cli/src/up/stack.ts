// The processes of one instance, in the order in which each can come up: API server, controllers, hub, edge node, thermostat.
// Invariants: every process is a child of ours and ends with us; ports stay the same over restarts of a child.
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import type { KubeClient } from '@skerry/common/kube/client';
import { createJoinToken, SYSTEM_NAMESPACE } from '@skerry/common/kube/join-token';
import { SECRETS, type Secret } from '@skerry/common/kube/resources';
import { type Child, checkAlive, createChild } from './child.js';
import { type Layout, program } from './layout.js';
import { freePort, freePorts } from './ports.js';
import { createLinkProxy, type LinkProxy } from './proxy.js';
import type { Waiter } from './wait.js';

export const NODE = 'edge-1';

export interface Ports {
  readonly cluster: number;
  readonly hub: number;
  readonly mqtt: number;
  readonly page: number;
}

export async function choosePorts(wanted: { readonly mqtt: number; readonly page: number }): Promise<Ports> {
  const [cluster = 0, hub = 0] = await freePorts(2);
  return { cluster, hub, mqtt: await freePort(wanted.mqtt), page: await freePort(wanted.page) };
}

export interface StackOptions {
  readonly layout: Layout;
  readonly ports: Ports;
  /** Of a real cluster, or where the embedded one writes its own. */
  readonly kubeconfig: string;
  readonly logLevel: string;
  readonly clock: Clock;
  readonly onRestart: (name: string, exit: string, delayMs: number) => void;
}

export interface Stack {
  readonly proxy: LinkProxy;
  startCluster(): void;
  startEdgeController(): void;
  startCloud(): void;
  startEdge(token: string): Promise<void>;
  startThermostat(): void;
  child(name: string): Child | undefined;
  children(): readonly Child[];
  /** Throws when a child keeps dying. */
  check(): void;
  /** In the reverse order. */
  stop(graceMs: number): Promise<void>;
}

export function createStack(options: StackOptions): Stack {
  const { layout, ports, kubeconfig, clock } = options;
  const children: Child[] = [];
  const proxy = createLinkProxy({ port: 0, target: { host: '127.0.0.1', port: ports.hub } });
  const hub = `127.0.0.1:${ports.hub}`;

  const service = (name: Parameters<typeof program>[0], flags: Record<string, string>): void =>
    add(name, { ...flags, 'log-level': options.logLevel });

  function add(name: Parameters<typeof program>[0], flags: Record<string, string>): void {
    const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
    const child = createChild(
      { name, args: [program(name), ...args], logFile: join(layout.logs, `${name}.log`) },
      { clock, onRestart: options.onRestart },
    );
    children.push(child);
    child.start();
  }

  return {
    proxy,
    startCluster: () =>
      service('devcluster', {
        state: layout.cluster,
        listen: `127.0.0.1:${ports.cluster}`,
        kubeconfig: layout.kubeconfig,
      }),
    startEdgeController: () => service('edgecontroller', { kubeconfig, hub, instance: 'edgecontroller-0' }),
    startCloud() {
      service('cloudhub', { listen: hub, 'tls-dir': layout.hubTls, kubeconfig, instance: 'cloudhub-0' });
      service('devicecontroller', {
        kubeconfig,
        hub,
        'tls-dir': layout.deviceControllerTls,
        instance: 'devicecontroller-0',
      });
    },
    async startEdge(token) {
      await proxy.start();
      // Not on the command line, where every user of the machine could see it.
      const tokenFile = join(layout.edge, 'join-token');
      await mkdir(layout.edge, { recursive: true, mode: 0o700 });
      await writeFile(tokenFile, token, { mode: 0o600 });
      service('edgecore', {
        node: NODE,
        hub: `127.0.0.1:${proxy.port()}`,
        'token-file': tokenFile,
        state: layout.edge,
        runtime: 'process',
        'mqtt-listen': `127.0.0.1:${ports.mqtt}`,
      });
    },
    startThermostat: () =>
      add('thermostat', { broker: `mqtt://127.0.0.1:${ports.mqtt}`, namespace: 'default', name: 'thermostat' }),
    child: (name) => children.find((child) => child.name === name),
    children: () => children,
    check: () => {
      for (const child of children) checkAlive(child);
    },
    async stop(graceMs) {
      for (const child of [...children].reverse()) await child.stop(graceMs);
      await proxy.stop();
    },
  };
}

/** What a Pod would have mounted: the Secret's entries as files of a private folder, each replaced at once. */
export async function materialise(kube: KubeClient, waiter: Waiter, name: string, dir: string): Promise<string> {
  const secret = await waiter.until<Secret>(`Secret ${SYSTEM_NAMESPACE}/${name}`, () =>
    kube.get(SECRETS, { namespace: SYSTEM_NAMESPACE, name }),
  );
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const [file, base64] of Object.entries(secret.data ?? {})) {
    const path = join(dir, file);
    await writeFile(`${path}.new`, Buffer.from(base64, 'base64'), { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
  const ca = secret.data?.['ca.crt'];
  if (ca === undefined) throw new SkerryError('data_loss', `Secret ${SYSTEM_NAMESPACE}/${name} has no ca.crt`);
  return Buffer.from(ca, 'base64').toString('utf8');
}

/** Good for an hour, for this node only. */
export function tokenFor(kube: KubeClient, caCertPem: string, clock: Clock): Promise<string> {
  return createJoinToken({ kube, caCertPem, ttlMs: 3_600_000, node: NODE, clock });
}
