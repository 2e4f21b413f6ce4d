// A real hub on a free port with a CA of its own, and peers that dial it over mTLS. Kubernetes is a list of the Leases that were written.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@skerry/common/clock';
import { anonymousCredentials, clientCredentials, HUB_ROLE, type TlsMaterial } from '@skerry/common/grpc/tls';
import type { KubeClient } from '@skerry/common/kube/client';
import { createLifecycle } from '@skerry/common/lifecycle';
import { dialChannel } from '@skerry/common/link/channel';
import { linkChannelOptions } from '@skerry/common/link/grpc-options';
import type { Channel, ChannelEnd, Envelope } from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import { type Authority, createAuthorityMaterial, issueWithNewKey, openAuthority } from '@skerry/common/pki/authority';
import {
  type ControllerName,
  controllerSubject,
  HUB_SERVER_NAME,
  hubSubject,
  nodeSubject,
  type Subject,
} from '@skerry/common/pki/names';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { ControllerLinkServiceClient, EdgeLinkServiceClient } from '@skerry/gen/skerry/cloud/v1/cloud';
import { Controller, type Hello, Lane, type ShardClaim } from '@skerry/gen/skerry/link/v1/link';
import { type Cloudhub, createCloudhub } from '../app.js';
import { allShards } from './claims.js';

const DAY_MS = 86_400_000;
const clock = systemClock();
const logger = nullLogger();

/** One end of a channel that remembers what it got. */
export interface Peer {
  readonly channel: Channel;
  readonly received: Envelope[];
  readonly end: Promise<ChannelEnd>;
  /** The first envelope, received or to come, that fits; it is taken off the list. */
  take(fits: (envelope: Envelope) => boolean): Promise<Envelope>;
  send(envelope: Envelope): void;
  close(): void;
}

export interface EdgeOptions {
  readonly generation?: number;
  readonly bootId?: string;
  /** What Hello says, when it is not the certificate's name. */
  readonly helloNode?: string;
}

export interface World {
  readonly hub: Cloudhub;
  readonly authority: Authority;
  readonly address: string;
  readonly tlsDir: string;
  /** Names of nodes in the order of their Leases' renewals. */
  readonly renewed: string[];
  material(subject: Subject, from?: Authority): Promise<TlsMaterial>;
  edge(node: string, options?: EdgeOptions): Promise<Peer>;
  controller(kind: Controller, options?: ControllerOptions): Promise<Peer>;
  /** Dials the edges' or the controllers' service with any certificate and Hello. */
  dial(service: 'edge' | 'controller', material: TlsMaterial | undefined, hello: Partial<Hello>): Promise<Peer>;
  /** Stops the hub; idempotent. */
  stop(): Promise<void>;
}

export interface ControllerOptions {
  readonly instance?: string;
  /** All shards under epoch 1 unless given. */
  readonly claims?: readonly ShardClaim[];
  readonly as?: ControllerName;
}

/** On the control lane, by its case. */
export const controlOf =
  ($case: string, node = '') =>
  (envelope: Envelope): boolean =>
    envelope.lane === Lane.LANE_CONTROL && envelope.body.$case === $case && envelope.node === node;
export const bodyOf =
  ($case: string, node = '') =>
  (envelope: Envelope): boolean =>
    envelope.lane !== Lane.LANE_CONTROL && envelope.body.$case === $case && envelope.node === node;

export async function withWorld(fn: (world: World) => Promise<void>, port = 0): Promise<void> {
  await withTempDir(async (dir) => {
    const authority = await openAuthority(await createAuthorityMaterial(clock.nowMs()));
    const tlsDir = join(dir, 'tls');
    await writeServerTls(tlsDir, authority);
    const renewed: string[] = [];
    const hub = await createCloudhub({
      host: '127.0.0.1',
      port,
      tlsDir,
      tlsLookMs: 20,
      instance: 'hub-0',
      kube: leaseList(renewed),
      clock,
      random: Math.random,
      utilization: () => 0,
      logger,
    });
    const app = createLifecycle({ components: hub.components, stopTimeoutMs: 5_000, clock, logger });
    await app.start();
    const peers: Peer[] = [];
    try {
      await fn(createWorld({ hub, authority, tlsDir, renewed, peers, stop: app.stop }));
    } finally {
      for (const peer of peers) peer.close();
      await app.stop();
    }
  });
}

export async function writeServerTls(dir: string, authority: Authority): Promise<void> {
  const issued = await issueWithNewKey(authority, {
    subject: hubSubject(),
    usage: 'server',
    serverNames: [HUB_SERVER_NAME],
    nowMs: clock.nowMs(),
    ttlMs: DAY_MS,
  });
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'tls.crt'), issued.certPem + authority.certPem);
  await writeFile(join(dir, 'tls.key'), issued.keyPem);
  await writeFile(join(dir, 'ca.crt'), authority.certPem);
}

function createWorld(
  parts: Pick<World, 'hub' | 'authority' | 'tlsDir' | 'renewed' | 'stop'> & { peers: Peer[] },
): World {
  const { hub, authority, peers } = parts;
  const address = hub.address();

  async function material(subject: Subject, from = authority): Promise<TlsMaterial> {
    const request = { subject, usage: 'client', nowMs: clock.nowMs(), ttlMs: DAY_MS } as const;
    const { certPem, keyPem } = await issueWithNewKey(from, request);
    return { cert: Buffer.from(certPem), key: Buffer.from(keyPem), ca: Buffer.from(authority.certPem) };
  }

  async function dial(service: 'edge' | 'controller', tls: TlsMaterial | undefined, hello: Partial<Hello>) {
    const credentials = tls ? clientCredentials(tls) : anonymousCredentials(Buffer.from(authority.certPem));
    const Client = service === 'edge' ? EdgeLinkServiceClient : ControllerLinkServiceClient;
    const client = new Client(address, credentials, { ...linkChannelOptions(), ...HUB_ROLE });
    const connect = () => ('connect' in client ? client.connect() : client.attach());
    try {
      const channel = await dialChannel({ connect, hello, clock, logger });
      const peer = createPeer(channel, () => client.close());
      peers.push(peer);
      return peer;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  return {
    ...parts,
    address,
    material,
    dial,
    edge: async (node, { generation = 1, bootId = 'boot', helloNode = node } = {}) =>
      dial('edge', await material(nodeSubject(node)), {
        role: {
          $case: 'edge',
          value: { node: helloNode, bootId, generation: BigInt(generation), softwareVersion: 'test', storeEpoch: 's' },
        },
      }),
    controller: async (kind, { instance = 'c-0', claims = allShards(1), as } = {}) => {
      const name = as ?? (kind === Controller.CONTROLLER_KUBE ? 'edgecontroller' : 'devicecontroller');
      const value = { kind, instance, softwareVersion: 'test', claims: { shards: [...claims] } };
      return dial('controller', await material(controllerSubject(name)), { role: { $case: 'controller', value } });
    },
  };
}

function createPeer(channel: Channel, closeClient: () => void): Peer {
  const received: Envelope[] = [];
  const waiting: { fits: (envelope: Envelope) => boolean; resolve: (envelope: Envelope) => void }[] = [];
  channel.onEnvelope((envelope) => {
    const index = waiting.findIndex(({ fits }) => fits(envelope));
    if (index < 0) received.push(envelope);
    else waiting.splice(index, 1)[0]?.resolve(envelope);
  });
  const end = new Promise<ChannelEnd>((resolve) => channel.onEnd(resolve));
  channel.start();
  return {
    channel,
    received,
    end,
    take(fits) {
      const index = received.findIndex(fits);
      const [found] = index < 0 ? [] : received.splice(index, 1);
      return found ? Promise.resolve(found) : new Promise((resolve) => waiting.push({ fits, resolve }));
    },
    send: (envelope) => channel.send(envelope),
    close() {
      channel.close({});
      closeClient();
    },
  };
}

function leaseList(renewed: string[]): Pick<KubeClient, 'patch' | 'create'> {
  return {
    async patch(_resource, ref) {
      renewed.push(ref.name);
      // The hub reads nothing of what the API answers.
      return {} as never;
    },
    create: () => Promise.reject(new Error('the Lease exists')),
  };
}
