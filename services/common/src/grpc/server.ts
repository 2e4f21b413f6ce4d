// One gRPC server: our services plus health and reflection, on TCP with TLS or on a unix socket in a private folder.
// Invariants: TCP never without credentials; health says NOT_SERVING before the server starts to close; stop ends within its deadline.
import { lstat, mkdir, unlink } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { dirname } from 'node:path';
import {
  type ChannelOptions,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { HealthService } from '@skerry/gen/grpc/health/v1/health';
import type { Clock } from '../clock.js';
import { messageOf, SkerryError } from '../errors.js';
import type { Component } from '../lifecycle.js';
import type { Logger } from '../logger.js';
import { createHealth } from './health.js';
import { createReflection, reflectionDefinitions } from './reflection.js';

export type Listen =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly credentials: ServerCredentials }
  | { readonly kind: 'unix'; readonly path: string };

export interface ServedService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

export interface GrpcServerOptions {
  readonly name: string;
  readonly services: readonly ServedService[];
  readonly listen: Listen;
  readonly channelOptions?: ChannelOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Runs first when stopping, so that long streams can say goodbye and end. */
  readonly beforeStop?: (deadline: AbortSignal) => Promise<void>;
}

export interface GrpcServer extends Component {
  /** Where it listens: "host:port" or "unix:/path". Throws before start. */
  address(): string;
  /** The TCP port; 0 on a unix socket. */
  port(): number;
  /** What health answers for the whole server; true after start. */
  setServing(serving: boolean): void;
}

/** Longest path of a unix socket that every platform takes (sun_path). */
const MAX_SOCKET_PATH = 103;
/** How long calls under way may take once the server no longer accepts new ones. */
const DRAIN_MS = 2_000;

export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const { listen, logger } = options;
  const health = createHealth();
  let server: Server | undefined;
  let boundPort: number | undefined;

  async function start(): Promise<void> {
    if (listen.kind === 'unix') await preparePath(listen.path);
    server = new Server(options.channelOptions);
    for (const service of options.services) server.addService(service.definition, service.implementation);
    server.addService(HealthService, health.implementation);
    const reflection = createReflection([...options.services.map((s) => s.definition), HealthService]);
    for (const definition of reflectionDefinitions) server.addService(definition, reflection);
    boundPort = await bind(server, listen);
    health.setServing(true);
    logger.info('serving', { server: options.name, address: address() });
  }

  async function stop(deadline: AbortSignal): Promise<void> {
    const closing = server;
    if (!closing) return;
    health.setServing(false);
    await options.beforeStop?.(deadline);
    health.close();
    await drain(closing, options.clock, deadline);
    server = undefined;
  }

  function address(): string {
    if (boundPort === undefined) throw new SkerryError('failed_precondition', `server ${options.name} has not started`);
    return listen.kind === 'unix' ? `unix:${listen.path}` : `${listen.host}:${boundPort}`;
  }

  return {
    name: options.name,
    start,
    stop,
    address,
    port: () => boundPort ?? 0,
    setServing: (serving) => health.setServing(serving),
  };
}

function bind(server: Server, listen: Listen): Promise<number> {
  const target = listen.kind === 'unix' ? `unix:${listen.path}` : `${listen.host}:${listen.port}`;
  const credentials = listen.kind === 'unix' ? ServerCredentials.createInsecure() : listen.credentials;
  return new Promise((resolve, reject) => {
    server.bindAsync(target, credentials, (error, port) => {
      if (error)
        reject(new SkerryError('unavailable', `cannot listen on ${target}: ${messageOf(error)}`, { cause: error }));
      else resolve(listen.kind === 'unix' ? 0 : port);
    });
  });
}

/** tryShutdown waits for every open stream, so it gets a short time and then the rest is cut. */
function drain(server: Server, clock: Clock, deadline: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const force = (): void => server.forceShutdown();
    const timer = clock.after(DRAIN_MS, force);
    deadline.addEventListener('abort', force, { once: true });
    if (deadline.aborted) force();
    server.tryShutdown(() => {
      timer.cancel();
      deadline.removeEventListener('abort', force);
      resolve();
    });
  });
}

/** Makes the socket's folder private and removes a socket file whose owner is dead. */
async function preparePath(path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new SkerryError(
      'invalid_argument',
      `unix socket path ${path} is longer than ${MAX_SOCKET_PATH} bytes: choose a shorter state folder`,
    );
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const stats = await lstat(path).catch(() => undefined);
  if (!stats) return;
  if (!stats.isSocket()) throw new SkerryError('failed_precondition', `${path} exists and is not a socket: remove it`);
  if (await answers(path)) throw new SkerryError('already_exists', `another process serves ${path}`);
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
