// One side of the link bench, in a process of its own: does what its parent says and ends with it.
import {
  type ClientDuplexStream,
  credentials,
  makeGenericClientConstructor,
  Server,
  type ServerDuplexStream,
} from '@grpc/grpc-js';
import { systemClock } from '@skerry/common/clock';
import { createTlsSource } from '@skerry/common/grpc/tls';
import { dialChannel, serveChannel } from '@skerry/common/link/channel';
import { openFrames, withFrameCodec } from '@skerry/common/link/frame-codec';
import { linkChannelOptions, linkServerOptions } from '@skerry/common/link/grpc-options';
import { createLanePort, type LanePort } from '@skerry/common/link/lane-port';
import type { Body, Channel } from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import { EdgeLinkServiceClient, EdgeLinkServiceService } from '@skerry/gen/skerry/cloud/v1/cloud';
import { type Frame, Hello, Lane } from '@skerry/gen/skerry/link/v1/link';

export type Test = 'oneway' | 'echo';
export type Flavour = 'ours' | 'raw';
export type Side = 'server' | 'client';

export interface Material {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export type Instruction =
  | { readonly kind: 'serve'; readonly test: Test; readonly flavour: Flavour; readonly material: Material }
  | {
      readonly kind: 'dial';
      readonly test: Test;
      readonly flavour: Flavour;
      readonly material: Material;
      readonly port: number;
    }
  | { readonly kind: 'go' }
  | { readonly kind: 'pause' }
  | { readonly kind: 'count' };

/** `value`: the port of a server, the frames of a count. */
export interface Answer {
  readonly value: number;
  readonly atMs: number;
}

type RawCall = ClientDuplexStream<Buffer, Buffer>;
type RawServerCall = ServerDuplexStream<Buffer, Buffer>;

const PAYLOAD = Buffer.alloc(512, 'x');
const ECHO_STREAMS = 50;
const PUT: Body = {
  $case: 'put',
  value: {
    key: 'pod/default/web/6f1f6e2c-7d0e-4a57-9a53-0f8f6f6b9d11',
    version: '1/6f1f6e2c-7d0e-4a57-9a53-0f8f6f6b9d11/0123456789abcdef0123456789abcdef',
    payload: PAYLOAD,
    absent: false,
    references: [],
    shardEpoch: 1n,
    encoding: '',
  },
};

const bytes = (value: Buffer): Buffer => value;
const RAW = {
  stream: {
    path: '/bench.Raw/Stream',
    requestStream: true,
    responseStream: true,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
} as const;

const LINK = withFrameCodec(EdgeLinkServiceService);

const clock = systemClock();
const logger = nullLogger();
let count = 0;
let running = false;
/** Called when told to go: each of them begins to send. */
const starters: (() => void)[] = [];

async function serve(test: Test, flavour: Flavour, { cert, key, ca }: Material): Promise<number> {
  const server = new Server(linkServerOptions());
  if (flavour === 'raw') server.addService(RAW, { stream: (call: RawServerCall) => serveRaw(test, call) });
  else
    server.addService(LINK, {
      connect: (call: ServerDuplexStream<Frame, Frame>) => void serveOurs(test, call),
    });
  const tls = createTlsSource({ cert: Buffer.from(cert), key: Buffer.from(key), ca: Buffer.from(ca) });
  return new Promise((resolve, reject) => {
    server.bindAsync('localhost:0', tls.serverCredentials(), (error, port) => (error ? reject(error) : resolve(port)));
  });
}

function serveRaw(test: Test, call: RawServerCall): void {
  call.on('data', (data: Buffer) => {
    count++;
    if (test === 'echo') call.write(data);
  });
}

async function serveOurs(test: Test, call: ServerDuplexStream<Frame, Frame>): Promise<void> {
  const pending = await serveChannel(call, { clock, logger });
  const port = portOn(pending.accept({}), (body) => {
    if (test === 'echo') port.send(body);
  });
}

/** A lane under credit; `onPut` takes what comes. */
function portOn(channel: Channel, onPut: (body: Body) => void, onRoom: () => void = () => {}): LanePort {
  const port = createLanePort({
    lane: Lane.LANE_KUBE_STATE,
    node: '',
    onBody: (body, cost) => {
      count++;
      port.refund(cost);
      onPut(body);
    },
    onRoom,
    onViolation: (message) => {
      throw new Error(message);
    },
  });
  channel.onEnvelope(({ body }) => port.receive(body));
  channel.start();
  port.attach(channel);
  return port;
}

async function dial(test: Test, flavour: Flavour, { cert, key, ca }: Material, port: number): Promise<void> {
  const tls = credentials.createSsl(Buffer.from(ca), Buffer.from(key), Buffer.from(cert));
  const address = `localhost:${port}`;
  const streams = test === 'echo' ? ECHO_STREAMS : 1;
  if (flavour === 'raw') {
    const Client = makeGenericClientConstructor(RAW, 'bench.Raw');
    const client = new Client(address, tls, linkChannelOptions());
    for (let i = 0; i < streams; i++) sendRaw(test, client['stream']?.() as RawCall);
    return;
  }
  const client = new EdgeLinkServiceClient(address, tls, linkChannelOptions());
  const hello = Hello.fromPartial({ role: { $case: 'edge', value: { node: 'bench' } } });
  for (let i = 0; i < streams; i++) {
    const connect = (): ClientDuplexStream<Frame, Frame> => openFrames(client, LINK.connect);
    const { role } = hello;
    sendOurs(test, await dialChannel({ connect, hello: { role }, clock, logger }));
  }
}

function sendRaw(test: Test, call: RawCall): void {
  const fill = (): void => {
    while (running && call.write(PAYLOAD));
  };
  if (test === 'oneway') call.on('drain', fill);
  call.on('data', (data: Buffer) => {
    count++;
    if (running) call.write(data);
  });
  starters.push(test === 'oneway' ? fill : () => call.write(PAYLOAD));
}

function sendOurs(test: Test, channel: Channel): void {
  const fill = (): void => {
    while (running && port.room()) port.send(PUT);
  };
  const onPut = (body: Body): void => {
    if (running) port.send(body);
  };
  const port = portOn(channel, onPut, test === 'oneway' ? fill : undefined);
  starters.push(test === 'oneway' ? fill : () => port.send(PUT));
}

async function obey(instruction: Instruction): Promise<number> {
  switch (instruction.kind) {
    case 'serve':
      return serve(instruction.test, instruction.flavour, instruction.material);
    case 'dial':
      await dial(instruction.test, instruction.flavour, instruction.material, instruction.port);
      return 0;
    case 'go':
      running = true;
      for (const start of starters) start();
      return 0;
    case 'pause':
      running = false;
      return 0;
    case 'count':
      return count;
  }
}

process.on('message', (instruction: Instruction) => {
  obey(instruction).then(
    (value) => process.send?.({ value, atMs: performance.now() } satisfies Answer),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));
