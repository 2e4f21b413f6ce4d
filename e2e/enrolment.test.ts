// A machine becomes a node: token from the cluster, certificate from edgecontroller through the hub, a session, a Lease. All parts are real,
// in one process.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { createCloudhub } from '@skerry/cloudhub/app';
import { systemClock } from '@skerry/common/clock';
import { claimsMessage, createControllerLink } from '@skerry/common/controller/controller-link';
import { createHubDialer } from '@skerry/common/controller/hub-dialer';
import { HUB_ROLE } from '@skerry/common/grpc/tls';
import { connectKube, type KubeClient } from '@skerry/common/kube/client';
import { loadKubeConnection } from '@skerry/common/kube/config';
import {
  createJoinToken,
  decodeSecretData,
  HUB_TLS_SECRET,
  readCaCertificate,
  SYSTEM_NAMESPACE,
} from '@skerry/common/kube/join-token';
import { isNotFound } from '@skerry/common/kube/kube-error';
import { LEASES, SECRETS } from '@skerry/common/kube/resources';
import { type Component, createLifecycle } from '@skerry/common/lifecycle';
import { dialChannel } from '@skerry/common/link/channel';
import { linkChannelOptions } from '@skerry/common/link/grpc-options';
import { createLaneSession } from '@skerry/common/link/lane-session';
import { nullLogger } from '@skerry/common/logger';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { createDevcluster } from '@skerry/devcluster/devcluster';
import { createPki } from '@skerry/edgecontroller/pki/pki';
import { createIdentityKeeper, credentialsOf } from '@skerry/edgecore/identity/enrolment';
import { EdgeLinkServiceClient } from '@skerry/gen/skerry/cloud/v1/cloud';
import { Controller, Lane } from '@skerry/gen/skerry/link/v1/link';

const clock = systemClock();
const logger = nullLogger();
const random = Math.random;
const DAY_MS = 86_400_000;

interface Cloud {
  readonly kube: KubeClient;
  readonly hub: { readonly host: string; readonly port: number };
  newToken(node?: string): Promise<string>;
}

/** devcluster, the signer, a hub, and the signer attached to the hub. */
async function withCloud(fn: (cloud: Cloud, dir: string) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    const started: Component[] = [];
    const start = async <T extends Component>(component: T): Promise<T> => {
      await component.start();
      started.unshift(component);
      return component;
    };
    try {
      const cluster = await start(createDevcluster({ stateDir: join(dir, 'cluster') }));
      const connection = await loadKubeConnection({ kind: 'file', path: cluster.kubeconfigPath }, clock);
      const { client: kube, transport } = connectKube({ connection, clock, random });
      await start({ name: 'kube', start: async () => {}, stop: () => transport.close() });
      const pki = await start(
        createPki({ ...{ kube, clock, logger, random }, serverNames: ['hub.example'], nodeCertificateTtlMs: DAY_MS }),
      );
      const tlsDir = await mountSecret(kube, join(dir, 'tls'));
      const hub = await createCloudhub({
        ...{ host: '127.0.0.1', port: 0, tlsDir, instance: 'hub-0', utilization: () => 0 },
        ...{ kube, clock, random, logger },
      });
      const components = hub.components;
      const app = createLifecycle({ components, stopTimeoutMs: 5_000, clock, logger });
      await start({ name: 'cloudhub', start: app.start, stop: app.stop });
      await start(attachedSigner(hub.address(), pki));
      await until(() => hub.size().controllers === 1);
      const newToken = async (node?: string): Promise<string> =>
        createJoinToken({
          ...{ kube, clock, ttlMs: 60_000, caCertPem: await readCaCertificate(kube) },
          ...(node !== undefined && { node }),
        });
      await fn({ kube, hub: { host: '127.0.0.1', port: hub.port() }, newToken }, dir);
    } finally {
      for (const component of started) await component.stop(AbortSignal.timeout(5_000));
    }
  });
}

function attachedSigner(hub: string, pki: ReturnType<typeof createPki>): Component {
  const claims = { owned: () => new Map<number, number>(), epochOf: () => undefined };
  const { caPem, certPem, keyPem } = pki.material();
  const tls = { cert: Buffer.from(certPem), key: Buffer.from(keyPem), ca: Buffer.from(caPem) };
  const kind = Controller.CONTROLLER_KUBE;
  const dial = createHubDialer({
    ...{ kind, instance: 'ec-0', tls: () => tls },
    ...{ claims: () => claimsMessage(claims.owned()), clock, logger },
  });
  return createControllerLink({
    ...{ kind, hubs: [hub], dial, claims, onHubCall: pki.serve, clock, random, logger },
    openNode: () => {
      throw new Error('no shard is served');
    },
    openSession: (options) => createLaneSession({ ...options, clock, logger }),
  });
}

async function mountSecret(kube: KubeClient, dir: string): Promise<string> {
  const secret = await kube.get(SECRETS, { namespace: SYSTEM_NAMESPACE, name: HUB_TLS_SECRET });
  await mkdir(dir);
  for (const [name, text] of Object.entries(decodeSecretData(secret))) await writeFile(join(dir, name), text ?? '');
  return dir;
}

/** Bounded by the test's own time. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await clock.sleep(10);
}

describe('joining', () => {
  test('a token buys a certificate, the certificate a session, heartbeats a Lease', () =>
    withCloud(async ({ kube, hub, newToken }, dir) => {
      const node = 'edge-1';
      const token = await newToken();
      const keeper = createIdentityKeeper({ node, hub, token, dir: join(dir, 'edge'), clock, logger });
      const identity = await keeper.obtain();
      const client = new EdgeLinkServiceClient(`${hub.host}:${hub.port}`, credentialsOf(identity), {
        ...linkChannelOptions(),
        ...HUB_ROLE,
      });
      const value = { node, bootId: 'b', generation: 1n, softwareVersion: 'test', storeEpoch: 's' };
      const hello = { role: { $case: 'edge', value } } as const;
      const channel = await dialChannel({ connect: () => client.connect(), hello, clock, logger });
      channel.start();
      channel.send({ lane: Lane.LANE_CONTROL, node: '', body: { $case: 'heartbeat', value: { uptimeMs: 1n } } });
      const lease = { namespace: 'kube-node-lease', name: node };
      await until(async () => {
        try {
          return (await kube.get(LEASES, lease)).spec?.holderIdentity === node;
        } catch (error) {
          if (isNotFound(error)) return false;
          throw error;
        }
      });
      channel.close({});
      client.close();
      expect(await keeper.renewIfDue(clock.nowMs())).toBe(false);
      expect(await keeper.renewIfDue(clock.nowMs() + 0.9 * DAY_MS)).toBe(true);
    }));

  test('a second machine gets nothing for the same token, and is told why', () =>
    withCloud(async ({ hub, newToken }, dir) => {
      const token = await newToken();
      const keeperOf = (node: string) =>
        createIdentityKeeper({ node, hub, token, dir: join(dir, node), clock, logger });
      await keeperOf('edge-1').obtain();
      await expect(keeperOf('edge-2').obtain()).rejects.toMatchObject({ code: 'unauthenticated' });
    }));

  test('a token of another cloud is noticed before anything is sent', () =>
    withCloud(async ({ hub, newToken }, dir) => {
      const [version, , id, secret] = (await newToken()).split('.');
      const token = [version, '0'.repeat(64), id, secret].join('.');
      const keeper = createIdentityKeeper({ node: 'edge-1', hub, token, dir: join(dir, 'edge'), clock, logger });
      await expect(keeper.obtain()).rejects.toThrow('CA');
    }));
});
