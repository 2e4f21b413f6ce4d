// The link over real gRPC and mTLS, with a proxy between that resets, goes silent and delays.

import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from '@jest/globals';
import { EdgeLinkServiceClient, EdgeLinkServiceService } from '@skerry/gen/skerry/cloud/v1/cloud';
import { Controller, Done_Outcome, type Frame, Goodbye_Reason, Hello, Lane } from '@skerry/gen/skerry/link/v1/link';
import { systemClock } from '../clock.js';
import { SkerryError } from '../errors.js';
import { createGrpcServer, type GrpcServer } from '../grpc/server.js';
import { clientCredentials, createTlsSource } from '../grpc/tls.js';
import { nullLogger } from '../logger.js';
import { type ByteProxy, createByteProxy } from '../testing/byte-proxy.js';
import { makeTestPki, type TestPki } from '../testing/certs.js';
import { dialChannel, isRefused, type PendingChannel, serveChannel } from './channel.js';
import { openFrames, withFrameCodec } from './frame-codec.js';
import { linkChannelOptions, linkServerOptions } from './grpc-options.js';
import { completeHello, controlFrame } from './handshake.js';
import { createLaneSession } from './lane-session.js';
import type { Channel, ChannelEnd, Entry, LaneSession, LaneSessionOptions, Settlement } from './types.js';

const clock = systemClock();
const logger = nullLogger();
const LINK = withFrameCodec(EdgeLinkServiceService);
const edgeHello: Partial<Hello> = {
  role: Hello.fromPartial({ role: { $case: 'edge', value: { node: 'n1', generation: 1n } } }).role,
};

type Serve = (pending: PendingChannel) => void;

interface Net {
  readonly proxy: ByteProxy;
  client(): EdgeLinkServiceClient;
  dial(): Promise<Channel>;
}

const cleanups: (() => Promise<void> | void)[] = [];
let pki: TestPki | undefined;

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startNet(serve: Serve): Promise<Net> {
  return startNetWith((call) => {
    serveChannel(call, { clock, logger, handshakeTimeoutMs: 500 }).then(serve, () => {});
  });
}

async function startNetWith(connect: (call: ServerDuplexStream<Frame, Frame>) => void): Promise<Net> {
  pki ??= await makeTestPki(clock.nowMs());
  const tls = createTlsSource(await pki.hub());
  const server: GrpcServer = createGrpcServer({
    name: 'link',
    services: [{ definition: LINK, implementation: { connect } }],
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0, credentials: tls.serverCredentials() },
    channelOptions: linkServerOptions(),
    clock,
    logger,
  });
  await server.start();
  cleanups.push(() => server.stop(AbortSignal.timeout(100)));
  const proxy = await createByteProxy(server.port());
  cleanups.push(() => proxy.close());
  const credentials = clientCredentials(await pki.node('n1'));
  const client = (): EdgeLinkServiceClient => {
    const made = new EdgeLinkServiceClient(`127.0.0.1:${proxy.port}`, credentials, linkChannelOptions());
    cleanups.push(() => made.close());
    return made;
  };
  return {
    proxy,
    client,
    dial: async () => {
      const made = client();
      const connect = (): ClientDuplexStream<Frame, Frame> => openFrames(made, LINK.connect);
      const channel = await dialChannel({ connect, hello: edgeHello, clock, logger });
      cleanups.push(() => channel.close({}));
      return channel;
    },
  };
}

const endOf = (channel: Channel): Promise<ChannelEnd> => new Promise((resolve) => channel.onEnd(resolve));

const entry = (version: string, payload = version): Entry => ({
  version,
  payload: new TextEncoder().encode(payload),
  absent: false,
  references: [],
});
const APPLIED: Settlement = { outcome: Done_Outcome.OUTCOME_APPLIED, code: '', reason: '' };

/** One end of a lane session: `has` is what it received, `wants` what it sends. */
function createEnd(role: 'edge' | 'controller', options: Partial<LaneSessionOptions> = {}) {
  const has = new Map<string, Entry>();
  const wants = new Map<string, Entry>();
  const versionsOf = (map: Map<string, Entry>) => [...map].map(([key, { version }]) => [key, version] as const);
  let onSynced: () => void = () => {};
  const session: LaneSession = createLaneSession({
    role,
    controller: Controller.CONTROLLER_KUBE,
    node: '',
    source: {
      versions: () => versionsOf(wants),
      read: (key) => wants.get(key),
      complete: () => true,
      confirmAbsent: async (key) => !wants.has(key),
      settled: () => {},
      epoch: () => 1n,
    },
    sink: {
      versions: () => versionsOf(has),
      put: async (key, value) => {
        has.set(key, value);
        return APPLIED;
      },
      delete: async (key) => {
        has.delete(key);
        return APPLIED;
      },
      synced: async () => onSynced(),
      unsynced: () => false,
    },
    logSources: [],
    logSink: undefined,
    onCall: undefined,
    clock,
    logger,
    ...options,
  });
  cleanups.push(() => session.close());
  const synced = (): Promise<void> =>
    new Promise((resolve) => {
      onSynced = resolve;
    });
  const attach = (channel: Channel): void => {
    channel.onEnvelope((envelope) => {
      if (envelope.body.$case === 'attached') session.attach(channel, { shardEpoch: 1n });
      else session.receive(envelope);
    });
    channel.onEnd(() => session.detach('the connection ended'));
    channel.start();
    if (role === 'edge') return;
    const value = { controller: Controller.CONTROLLER_KUBE, shardEpoch: 1n, edge: undefined };
    channel.send({ lane: Lane.LANE_CONTROL, node: '', body: { $case: 'attached', value } });
    session.attach(channel, { shardEpoch: 1n });
  };
  return { has, wants, session, synced, attach };
}

describe('the handshake', () => {
  test('tells each side what the other said', async () => {
    const net = await startNet((pending) => {
      expect(pending.hello.role?.value).toMatchObject({ node: 'n1' });
      pending.accept({ hubInstance: 'hub-1' });
    });
    const channel = await net.dial();
    expect(channel.welcome).toMatchObject({ hubInstance: 'hub-1', encoding: 'json', protocolVersion: 1 });
    expect(channel.welcome.cloudTimeUnixMs).toBeGreaterThan(0n);
  });

  test('a refusal carries its reason, how long to wait and the known generation', async () => {
    const net = await startNet((pending) =>
      pending.refuse({
        reason: Goodbye_Reason.REASON_STALE_GENERATION,
        message: 'generation 9 was here',
        retryAfterMs: 1_500,
        knownGeneration: 9n,
      }),
    );
    const error = await net.dial().catch((reason: unknown) => reason);
    expect(isRefused(error) && error.goodbye).toMatchObject({ retryAfterMs: 1_500, knownGeneration: 9n });
  });

  test('a version that is not spoken is refused', async () => {
    const net = await startNet(() => {});
    const client = net.client();
    const hello = { ...edgeHello, protocolVersion: 9, minProtocolVersion: 9 };
    const dialled = dialChannel({ connect: () => client.connect(), hello, clock, logger });
    await expect(dialled).rejects.toMatchObject({ code: 'unsupported' });
  });

  test('a silent server is given up', async () => {
    const net = await startNetWith(() => {});
    const client = net.client();
    const options = { hello: edgeHello, clock, logger, handshakeTimeoutMs: 100 };
    const dialled = dialChannel({ connect: () => client.connect(), ...options });
    await expect(dialled).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  test('a peer without a hello is answered and let go', async () => {
    const net = await startNet(() => {});
    const call = net.client().connect();
    call.write(controlFrame(1, 0, { $case: 'heartbeat', value: { uptimeMs: 1n } }));
    const answer = await new Promise<Frame>((resolve) => call.on('data', resolve));
    expect(answer.body).toMatchObject({ $case: 'goodbye', value: { reason: Goodbye_Reason.REASON_PROTOCOL_ERROR } });
    await new Promise((resolve) => call.on('end', resolve));
  });
});

describe('a lane session over mTLS', () => {
  test('carries state both ways, large entries in pieces', async () => {
    const cloud = createEnd('controller');
    const edge = createEnd('edge');
    cloud.wants.set('pod/a/b/1', entry('1'));
    cloud.wants.set('configmap/a/big', entry('1', 'x'.repeat(1_400_000)));
    edge.wants.set('podstatus/a/b/1', entry('running'));
    edge.has.set('pod/a/old/9', entry('1'));
    const net = await startNet((pending) => cloud.attach(pending.accept({})));
    const synced = Promise.all([edge.synced(), cloud.synced()]);
    edge.attach(await net.dial());
    await synced;
    expect([...edge.has.keys()].sort()).toEqual(['configmap/a/big', 'pod/a/b/1']);
    expect(edge.has.get('configmap/a/big')?.payload.length).toBe(1_400_000);
    expect([...cloud.has.keys()]).toEqual(['podstatus/a/b/1']);
  });

  test('calls answer, stream both ways, carry errors and deadlines', async () => {
    const cloud = createEnd('controller', {
      onCall: async (payload, { method, incoming, write, signal }) => {
        if (method === 'fail') throw new SkerryError('not_found', 'no such pod');
        if (method === 'hang') await new Promise((resolve) => signal.addEventListener('abort', resolve));
        for await (const part of incoming) await write(part);
        return payload;
      },
    });
    const edge = createEnd('edge');
    const net = await startNet((pending) => cloud.attach(pending.accept({})));
    const synced = edge.synced();
    edge.attach(await net.dial());
    await synced;
    const text = (value: string): Uint8Array => new TextEncoder().encode(value);
    const parts: string[] = [];
    async function* outgoing(): AsyncGenerator<Uint8Array> {
      // Eight times the credit of the lane: it only passes when what was read is given back.
      for (let i = 0; i < 200; i++) yield text(`${i}`.padEnd(10_000));
    }
    const answer = await edge.session.call('echo', text('done'), {
      timeoutMs: 20_000,
      outgoing: outgoing(),
      onData: (part) => parts.push(new TextDecoder().decode(part).trimEnd()),
    });
    expect(new TextDecoder().decode(answer)).toBe('done');
    expect(parts).toEqual(Array.from({ length: 200 }, (_, i) => `${i}`));
    const call = (method: string, timeoutMs: number) => edge.session.call(method, text(''), { timeoutMs });
    await expect(call('fail', 5_000)).rejects.toMatchObject({ code: 'not_found', message: 'no such pod' });
    await expect(call('hang', 50)).rejects.toMatchObject({ code: 'deadline_exceeded' });
    edge.session.detach('test');
    await expect(call('echo', 5_000)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('a reset ends both ends; the next connection converges', async () => {
    const cloud = createEnd('controller');
    const edge = createEnd('edge');
    cloud.wants.set('pod/a/b/1', entry('1'));
    const net = await startNet((pending) => cloud.attach(pending.accept({})));
    const first = await net.dial();
    const synced = edge.synced();
    edge.attach(first);
    await synced;
    const ended = endOf(first);
    net.proxy.reset();
    expect(await ended).toMatchObject({ kind: 'lost' });
    edge.session.detach('the connection was reset');
    cloud.wants.set('pod/a/b/1', entry('2'));
    cloud.session.dirty('pod/a/b/1');
    const again = edge.synced();
    edge.attach(await net.dial());
    await again;
    expect(edge.has.get('pod/a/b/1')?.version).toBe('2');
  });
});

describe('a channel', () => {
  test('that hears nothing is lost on both ends, though no socket closes', async () => {
    const serverEnd = new Promise<ChannelEnd>((resolve) => {
      net = startNet((pending) => {
        const channel = pending.accept({ heartbeatIntervalMs: 100 });
        channel.onEnd(resolve);
        channel.start();
      });
    });
    const { proxy, dial } = await net;
    const channel = await dial();
    const clientEnd = endOf(channel);
    channel.start();
    proxy.blackHole(true);
    expect(await clientEnd).toMatchObject({ kind: 'lost', reason: expect.stringContaining('nothing was heard') });
    expect(await serverEnd).toMatchObject({ kind: 'lost', reason: expect.stringContaining('nothing was heard') });
  });

  test('says goodbye, and the other end knows why', async () => {
    const serverEnd = new Promise<ChannelEnd>((resolve) => {
      net = startNet((pending) => {
        const channel = pending.accept({});
        channel.onEnd(resolve);
        channel.start();
      });
    });
    const channel = await (await net).dial();
    channel.start();
    channel.close({ reason: Goodbye_Reason.REASON_SHUTTING_DOWN, message: 'updating' });
    expect(await serverEnd).toMatchObject({ kind: 'goodbye', goodbye: { message: 'updating' } });
  });

  test.each([
    ['a number that is not the next', { ...controlFrame(5, 1, { $case: 'heartbeat', value: { uptimeMs: 1n } }) }],
    [
      'an acknowledgement beyond what was sent',
      { ...controlFrame(2, 99, { $case: 'heartbeat', value: { uptimeMs: 1n } }) },
    ],
    ['a lane that does not exist', { ...controlFrame(2, 1, { $case: 'credit', value: { bytes: 9 } }), lane: 77 }],
    ['a body on the wrong lane', { ...controlFrame(2, 1, { $case: 'credit', value: { bytes: 9_999 } }) }],
    ['a second hello', controlFrame(2, 1, { $case: 'hello', value: completeHello(edgeHello) })],
  ])('ends over %s', async (_what, frame) => {
    net = startNet((pending) => pending.accept({}).start());
    const call = (await net).client().connect();
    const answers: Frame[] = [];
    const ended = new Promise((resolve) => call.on('end', resolve));
    call.on('data', (answer: Frame) => answers.push(answer));
    call.write(controlFrame(1, 0, { $case: 'hello', value: completeHello(edgeHello) }));
    call.write(frame);
    await ended;
    expect(answers.at(-1)?.body).toMatchObject({
      $case: 'goodbye',
      value: { reason: Goodbye_Reason.REASON_PROTOCOL_ERROR },
    });
  });

  test('has windows on the server that hold more than the 64 KiB of HTTP/2', async () => {
    // The server never reads: what passes the proxy is what its windows allow.
    net = startNetWith((call) => void call.pause());
    const { proxy, client } = await net;
    const call = client().connect();
    call.on('error', () => {});
    const data = Buffer.alloc(32 * 1024);
    for (let i = 0; i < 64; i++)
      call.write({
        ...controlFrame(i, 0, { $case: 'chunk', value: { data, last: false } }),
        lane: Lane.LANE_KUBE_STATE,
      });
    while (proxy.received() < 1_500_000) await clock.sleep(5);
    call.cancel();
  });
});

let net: Promise<Net>;
