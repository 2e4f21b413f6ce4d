// The hub as its peers meet it: real gRPC over mTLS on a free port.
import { connect } from 'node:tls';
import { describe, expect, test } from '@jest/globals';
import { unary } from '@skerry/common/grpc/client';
import { anonymousCredentials, clientCredentials, HUB_ROLE } from '@skerry/common/grpc/tls';
import { linkChannelOptions } from '@skerry/common/link/grpc-options';
import { completeHello, controlFrame } from '@skerry/common/link/handshake';
import { INITIAL_CREDIT, MAX_CREDIT } from '@skerry/common/link/limits';
import type { Envelope } from '@skerry/common/link/types';
import { createAuthorityMaterial, openAuthority } from '@skerry/common/pki/authority';
import { controllerSubject, HUB_SERVER_NAME, hubSubject, nodeSubject } from '@skerry/common/pki/names';
import { decodeRelayedRenewal } from '@skerry/common/pki/relay';
import { HealthClient, HealthCheckResponse_ServingStatus as Status } from '@skerry/gen/grpc/health/v1/health';
import {
  EdgeLinkServiceClient,
  EnrollResponse,
  EnrolmentServiceClient,
  RenewResponse,
} from '@skerry/gen/skerry/cloud/v1/cloud';
import { Controller, type Frame, Goodbye_Reason, type Hello, Lane } from '@skerry/gen/skerry/link/v1/link';
import { allShards, shardClaim } from './testing/claims.js';
import { bodyOf, controlOf, type Peer, type World, withWorld, writeServerTls } from './testing/world.js';

const KUBE = Controller.CONTROLLER_KUBE;
const DEVICE = Controller.CONTROLLER_DEVICE;
const STATE = Lane.LANE_KUBE_STATE;

const credit = (bytes: number, node = '', lane = STATE): Envelope => ({
  lane,
  node,
  body: { $case: 'credit', value: { bytes } },
});
const put = (key: string, node = '', payload = 'x'): Envelope => ({
  lane: STATE,
  node,
  body: {
    $case: 'put',
    value: {
      key,
      version: '1',
      payload: Buffer.from(payload),
      absent: false,
      references: [],
      shardEpoch: 0n,
      encoding: '',
    },
  },
});
const heartbeat: Envelope = {
  lane: Lane.LANE_CONTROL,
  node: '',
  body: { $case: 'heartbeat', value: { uptimeMs: 1n } },
};

/** Both ends have heard of each other and granted credit on the state lane. */
async function pair(edge: Peer, controller: Peer, node: string, bytes = INITIAL_CREDIT): Promise<void> {
  await Promise.all([edge.take(controlOf('attached')), controller.take(controlOf('attached', node))]);
  edge.send(credit(bytes));
  controller.send(credit(bytes, node));
  await Promise.all([edge.take(bodyOf('credit')), controller.take(bodyOf('credit', node))]);
}

const goodbyeOf = async (peer: Peer): Promise<string> => {
  const end = await peer.end;
  return end.kind === 'goodbye' ? `${Goodbye_Reason[end.goodbye.reason]}: ${end.goodbye.message}` : end.kind;
};
const refusal = (reason: Goodbye_Reason) => ({ goodbye: { reason } });
const counted = async (world: World, name: keyof ReturnType<World['hub']['counters']>, least = 1): Promise<void> => {
  while (world.hub.counters()[name] < least) await new Promise((resolve) => setTimeout(resolve, 5));
};

/** An edge that shakes hands, grants all the credit there is, and then reads and acknowledges nothing more. */
async function dialAndFreeze(world: World, node: string): Promise<{ close(): void }> {
  const client = new EdgeLinkServiceClient(world.address, clientCredentials(await world.material(nodeSubject(node))), {
    ...linkChannelOptions(),
    ...HUB_ROLE,
  });
  const call = client.connect();
  call.on('error', () => {});
  const value = { node, bootId: 'b', generation: 1n, softwareVersion: 'test', storeEpoch: 's' };
  const hello = completeHello({ role: { $case: 'edge', value } });
  call.write(controlFrame(1, 0, { $case: 'hello', value: hello }));
  await new Promise<void>((resolve) => {
    call.on('data', (frame: Frame) => {
      if (frame.body?.$case !== 'attached') return;
      call.pause();
      call.write({ ...credit(MAX_CREDIT), seq: 2n, ack: frame.seq });
      resolve();
    });
  });
  return {
    close() {
      call.cancel();
      client.close();
    },
  };
}

describe('relay', () => {
  test('passes frames between an edge and the owner of its shard, both ways', () =>
    withWorld(async (world) => {
      const edge = await world.edge('edge-1');
      const controller = await world.controller(KUBE, { claims: allShards(7) });
      const attached = await edge.take(controlOf('attached'));
      expect(attached.body).toMatchObject({ value: { controller: KUBE, shardEpoch: 7n } });
      const seen = await controller.take(controlOf('attached', 'edge-1'));
      expect(seen.body).toMatchObject({ value: { controller: KUBE, edge: { node: 'edge-1', generation: 1n } } });

      edge.send(credit(INITIAL_CREDIT));
      controller.send(credit(INITIAL_CREDIT, 'edge-1'));
      await Promise.all([edge.take(bodyOf('credit')), controller.take(bodyOf('credit', 'edge-1'))]);
      controller.send(put('pod/a/b/c', 'edge-1'));
      expect((await edge.take(bodyOf('put'))).body).toMatchObject({ value: { key: 'pod/a/b/c' } });
      edge.send(put('podstatus/a/b/c'));
      expect((await controller.take(bodyOf('put', 'edge-1'))).body).toMatchObject({
        value: { key: 'podstatus/a/b/c' },
      });
    }));

  test('gives each controller kind its own lanes', () =>
    withWorld(async (world) => {
      const kube = await world.controller(KUBE);
      const device = await world.controller(DEVICE);
      const edge = await world.edge('edge-1');
      await edge.take(controlOf('attached'));
      await edge.take(controlOf('attached'));
      edge.send(credit(INITIAL_CREDIT, '', Lane.LANE_DEVICE_STATE));
      await device.take(bodyOf('credit', 'edge-1'));
      kube.send({ ...put('device/a/b', 'edge-1'), lane: Lane.LANE_DEVICE_STATE });
      expect(await goodbyeOf(kube)).toContain('LANE_DEVICE_STATE belongs to another controller kind');
    }));

  test('drops what nobody owns, and counts it', () =>
    withWorld(async (world) => {
      const edge = await world.edge('edge-1');
      edge.send(put('podstatus/a/b/c'));
      await counted(world, 'framesDropped');
      const controller = await world.controller(KUBE);
      await pair(edge, controller, 'edge-1');
      expect(controller.received).toEqual([]);
    }));

  test('does not let an edge that reads nothing delay another one', () =>
    withWorld(async (world) => {
      const controller = await world.controller(KUBE);
      const lively = await world.edge('lively');
      await pair(lively, controller, 'lively');
      const stuck = await dialAndFreeze(world, 'stuck');
      try {
        await controller.take(bodyOf('credit', 'stuck'));
        for (let i = 0; i < 130; i++) controller.send(put(`pod/a/p${i}/u`, 'stuck', 'x'.repeat(30_000)));
        await counted(world, 'framesDown', 130);
        controller.send(put('pod/a/b/c', 'lively'));
        await lively.take(bodyOf('put'));
      } finally {
        stuck.close();
      }
    }));
});

describe('credit', () => {
  test('an edge that overdraws is cut off, others are not', () =>
    withWorld(async (world) => {
      const controller = await world.controller(KUBE);
      const [greedy, modest] = [await world.edge('greedy'), await world.edge('modest')];
      await controller.take(controlOf('attached', 'greedy'));
      await pair(modest, controller, 'modest');
      greedy.send(put('podstatus/a/b/c'));
      expect(await goodbyeOf(greedy)).toBe('REASON_PROTOCOL_ERROR: a body was sent without credit');
      await controller.take(controlOf('detached', 'greedy'));
      modest.send(put('podstatus/a/b/c'));
      await controller.take(bodyOf('put', 'modest'));
      expect(world.hub.counters().creditViolations).toBe(1);
    }));

  test('a controller that overdraws for one node loses that node for a while', () =>
    withWorld(async (world) => {
      const controller = await world.controller(KUBE);
      const edge = await world.edge('edge-1');
      await controller.take(controlOf('attached', 'edge-1'));
      controller.send(put('pod/a/b/c', 'edge-1'));
      await Promise.all([controller.take(controlOf('detached', 'edge-1')), edge.take(controlOf('detached'))]);
      const other = await world.edge('edge-2');
      await pair(other, controller, 'edge-2');
    }));
});

describe('sessions', () => {
  test('a newer connection of a node replaces the older one', () =>
    withWorld(async (world) => {
      const controller = await world.controller(KUBE);
      const first = await world.edge('edge-1', { generation: 1 });
      await controller.take(controlOf('attached', 'edge-1'));
      await world.edge('edge-1', { generation: 2 });
      expect(await goodbyeOf(first)).toContain('REASON_REPLACED');
      await controller.take(controlOf('detached', 'edge-1'));
      const again = await controller.take(controlOf('attached', 'edge-1'));
      expect(again.body).toMatchObject({ value: { edge: { generation: 2n } } });
      expect(world.hub.size().edges).toBe(1);
    }));

  test('a node that connects again and again uses up nobody else’s turn', () =>
    withWorld(async (world) => {
      const stubborn = async (): Promise<void> => {
        for (let generation = 1; generation <= 40; generation++) await world.edge('edge-1', { generation });
      };
      await expect(stubborn()).rejects.toMatchObject(refusal(Goodbye_Reason.REASON_ADMISSION));
      expect(world.hub.counters().edgesRefusedAdmission).toBe(1);
      await world.edge('edge-2');
    }));

  test('an older generation is told the highest one', () =>
    withWorld(async (world) => {
      await world.edge('edge-1', { generation: 5 });
      await expect(world.edge('edge-1', { generation: 5 })).rejects.toMatchObject({
        goodbye: { reason: Goodbye_Reason.REASON_STALE_GENERATION, knownGeneration: 5n },
      });
    }));

  test('a shard that changes hands takes its nodes along', () =>
    withWorld(async (world) => {
      const edge = await world.edge('edge-1');
      const a = await world.controller(KUBE, { instance: 'a', claims: shardClaim('edge-1', 1) });
      await Promise.all([a.take(controlOf('attached', 'edge-1')), edge.take(controlOf('attached'))]);
      const b = await world.controller(KUBE, { instance: 'b', claims: [] });
      const claims = { shards: shardClaim('edge-1', 2) };
      b.send({ lane: Lane.LANE_CONTROL, node: '', body: { $case: 'claims', value: claims } });
      await a.take(controlOf('detached', 'edge-1'));
      await edge.take(controlOf('detached'));
      expect((await edge.take(controlOf('attached'))).body).toMatchObject({ value: { shardEpoch: 2n } });
      await b.take(controlOf('attached', 'edge-1'));
      b.close();
      await edge.take(controlOf('detached'));
      await a.take(controlOf('attached', 'edge-1'));
    }));

  test('a controller can send one node away', () =>
    withWorld(async (world) => {
      const controller = await world.controller(KUBE);
      const edge = await world.edge('edge-1');
      await controller.take(controlOf('attached', 'edge-1'));
      const goodbye = {
        reason: Goodbye_Reason.REASON_FORBIDDEN,
        message: 'not here',
        retryAfterMs: 0,
        knownGeneration: 0n,
      };
      controller.send({ lane: Lane.LANE_CONTROL, node: 'edge-1', body: { $case: 'goodbye', value: goodbye } });
      expect(await goodbyeOf(edge)).toBe('REASON_FORBIDDEN: not here');
    }));

  test('heartbeats renew the Lease of the certificate’s node', () =>
    withWorld(async (world) => {
      const edge = await world.edge('edge-1');
      edge.send(heartbeat);
      await counted(world, 'leasesRenewed');
      expect(world.renewed).toEqual(['edge-1']);
    }));
});

describe('identity', () => {
  const edgeHello = (node: string): Partial<Hello> => ({
    role: {
      $case: 'edge',
      value: { node, bootId: 'b', generation: 1n, softwareVersion: 'test', storeEpoch: 's' },
    },
  });
  const controllerHello: Partial<Hello> = {
    role: { $case: 'controller', value: { kind: KUBE, instance: 'c', softwareVersion: 't', claims: { shards: [] } } },
  };

  test('without a certificate, with one of another CA or of somebody else, nobody gets a session', () =>
    withWorld(async (world) => {
      const { dial, material } = world;
      const stranger = await openAuthority(await createAuthorityMaterial(Date.now()));
      await expect(dial('edge', undefined, edgeHello('edge-1'))).rejects.toMatchObject({ code: 'unauthenticated' });
      const forged = await material(nodeSubject('edge-1'), stranger);
      await expect(dial('edge', forged, edgeHello('edge-1'))).rejects.toMatchObject({ code: 'unauthenticated' });
      await expect(dial('edge', await material(hubSubject()), edgeHello('edge-1'))).rejects.toThrow('is no node');
      const node = await material(nodeSubject('edge-1'));
      await expect(dial('controller', node, controllerHello)).rejects.toMatchObject({ code: 'permission_denied' });
      const controller = await material(controllerSubject('edgecontroller'));
      await expect(dial('edge', controller, edgeHello('edge-1'))).rejects.toMatchObject({ code: 'permission_denied' });
      expect(world.hub.size()).toEqual({ edges: 0, controllers: 0 });
    }));

  test('Hello must agree with the certificate', () =>
    withWorld(async (world) => {
      const forbidden = refusal(Goodbye_Reason.REASON_FORBIDDEN);
      await expect(world.edge('edge-1', { helloNode: 'edge-2' })).rejects.toMatchObject(forbidden);
      await expect(world.controller(KUBE, { as: 'devicecontroller' })).rejects.toMatchObject(forbidden);
      const node = await world.material(nodeSubject('edge-1'));
      await expect(world.dial('edge', node, controllerHello)).rejects.toMatchObject(forbidden);
    }));

  test('an edge speaks of itself only', () =>
    withWorld(async (world) => {
      const controller = await world.controller(KUBE);
      const edge = await world.edge('edge-1');
      await pair(edge, controller, 'edge-1');
      edge.send(put('podstatus/a/b/c', 'edge-2'));
      expect(await goodbyeOf(edge)).toContain('an edge speaks of itself only');
    }));

  test('a certificate that was replaced on disk serves the next connection, open ones go on', () =>
    withWorld(async (world) => {
      const edge = await world.edge('edge-1');
      const before = await servedCertificate(world);
      await writeServerTls(world.tlsDir, world.authority);
      while ((await servedCertificate(world)) === before) await new Promise((resolve) => setTimeout(resolve, 10));
      const controller = await world.controller(KUBE);
      await pair(edge, controller, 'edge-1');
      expect(world.hub.counters().edgesConnected).toBe(1);
    }));
});

/** Fingerprint of what the hub shows to a new connection. */
function servedCertificate(world: World): Promise<string> {
  return new Promise((resolve, reject) => {
    const at = { host: '127.0.0.1', port: world.hub.port(), servername: HUB_SERVER_NAME, ca: world.authority.certPem };
    const socket = connect(at, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('enrolment', () => {
  const request = { token: 'id.secret', node: 'edge-9', publicKey: Buffer.from([1]), proof: Buffer.from([2]) };

  async function withEnrolment(
    world: World,
    credentials: Parameters<typeof clientCredentials>[0] | undefined,
    fn: (client: EnrolmentServiceClient) => Promise<void>,
  ): Promise<void> {
    const channel = credentials
      ? clientCredentials(credentials)
      : anonymousCredentials(Buffer.from(world.authority.certPem));
    const client = new EnrolmentServiceClient(world.address, channel, HUB_ROLE);
    try {
      await fn(client);
    } finally {
      client.close();
    }
  }

  /** Answers the next call of the hub. */
  async function answer(controller: Peer, code: number, message: string, payload: Uint8Array): Promise<Buffer> {
    const { lane, body } = await controller.take(bodyOf('callRequest'));
    if (body.$case !== 'callRequest') throw new Error('no call');
    const value = { id: body.value.id, code, message, payload: Buffer.from(payload) };
    controller.send({ lane, node: '', body: { $case: 'callEnd', value } });
    return body.value.payload;
  }

  test('is relayed to edgecontroller, without a certificate; its verdict is passed through', () =>
    withWorld((world) =>
      withEnrolment(world, undefined, async (client) => {
        const enroll = () => unary<EnrollResponse>((done) => client.enroll(request, done));
        await expect(enroll()).rejects.toMatchObject({ code: 'unavailable' });
        const controller = await world.controller(KUBE);
        const response = { certificateChain: 'chain', caCertificates: 'ca' };
        const [got] = await Promise.all([
          enroll(),
          answer(controller, 0, '', EnrollResponse.encode(response).finish()),
        ]);
        expect(got).toEqual(response);
        const refused = Promise.all([enroll(), answer(controller, 16, 'the token expired', Buffer.alloc(0))]);
        await expect(refused).rejects.toMatchObject({ code: 'unauthenticated', message: 'the token expired' });
        const lost = enroll();
        await controller.take(bodyOf('callRequest'));
        controller.close();
        await expect(lost).rejects.toMatchObject({ code: 'unavailable' });
      }),
    ));

  test('is limited for each address', () =>
    withWorld((world) =>
      withEnrolment(world, undefined, async (client) => {
        const all = await Promise.allSettled(
          Array.from({ length: 60 }, () => unary<EnrollResponse>((done) => client.enroll(request, done))),
        );
        const codes = all.map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : 'ok'));
        expect(codes.filter((code) => code === 'unavailable').length).toBeGreaterThanOrEqual(50);
        expect(codes).toContain('resource_exhausted');
      }),
    ));

  test('a request that no frame could carry ends at the hub, not at the link of edgecontroller', () =>
    withWorld((world) =>
      withEnrolment(world, undefined, async (client) => {
        const controller = await world.controller(KUBE);
        const large = unary((done) => client.enroll({ ...request, token: 'x'.repeat(65_000) }, done));
        await expect(large).rejects.toMatchObject({ code: 'invalid_argument' });
        const enrolled = unary<EnrollResponse>((done) => client.enroll(request, done));
        await answer(
          controller,
          0,
          '',
          EnrollResponse.encode({ certificateChain: 'c', caCertificates: 'ca' }).finish(),
        );
        expect((await enrolled).certificateChain).toBe('c');
      }),
    ));

  test('renewal carries the node of the certificate', () =>
    withWorld(async (world) => {
      const controller = await world.controller(KUBE);
      const renewal = { publicKey: Buffer.from([3]), proof: Buffer.from([4]) };
      await withEnrolment(world, await world.material(nodeSubject('edge-1')), async (client) => {
        const response = { certificateChain: 'chain', caCertificates: 'ca' };
        const [got, payload] = await Promise.all([
          unary<RenewResponse>((done) => client.renew(renewal, done)),
          answer(controller, 0, '', RenewResponse.encode(response).finish()),
        ]);
        expect(got).toEqual(response);
        expect(decodeRelayedRenewal(payload)).toMatchObject({ node: 'edge-1' });
      });
      await withEnrolment(world, undefined, async (client) => {
        const renew = unary<RenewResponse>((done) => client.renew(renewal, done));
        await expect(renew).rejects.toMatchObject({ code: 'unauthenticated' });
      });
    }));
});

describe('stopping and starting', () => {
  test('says Goodbye to everybody, ends in time, and serves again on the same port', async () => {
    let port = 0;
    await withWorld(async (world) => {
      port = world.hub.port();
      const health = new HealthClient(
        world.address,
        anonymousCredentials(Buffer.from(world.authority.certPem)),
        HUB_ROLE,
      );
      expect(await unary((done) => health.check({ service: '' }, done))).toEqual({ status: Status.SERVING });
      health.close();
      const [edge, controller] = [await world.edge('edge-1'), await world.controller(KUBE)];
      await pair(edge, controller, 'edge-1');
      await world.stop();
      expect(await goodbyeOf(edge)).toContain('REASON_SHUTTING_DOWN');
      expect(await goodbyeOf(controller)).toContain('REASON_SHUTTING_DOWN');
      await expect(world.edge('edge-2')).rejects.toMatchObject({ code: 'unavailable' });
    });
    await withWorld(async (world) => {
      const [edge, controller] = [await world.edge('edge-1'), await world.controller(KUBE)];
      await pair(edge, controller, 'edge-1');
    }, port);
  });
});
