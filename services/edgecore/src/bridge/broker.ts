// The embedded MQTT 3.1.1 broker: aedes on a loopback port, with durable sessions on disk. Knows nothing of twins: a gate decides about messages.
// Invariants: connections, sessions, subscriptions, packets and what waits are bounded; MQTT 5 is refused with the code that 3.1.1 has for it.
import type { EventEmitter } from 'node:events';
import { mkdir, rename } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '@skerry/common/clock';
import { messageOf, SkerryError, systemCode } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';
import { Aedes, type AedesOptions, type Client, type PublishPacket } from 'aedes';
import { ClassicLevel } from 'classic-level';
import { type Admission, createAdmission } from './admission.js';
import type { Counters } from './counters.js';
import { limitFrames } from './frame-limit.js';
import type { ListenAddress } from './listen-address.js';
import type { OccasionalLog } from './occasional-log.js';
import { BoundedSessions, nextGeneration, SESSION_BOUNDS, type SessionBounds } from './sessions.js';
import { NOWHERE } from './topics.js';

export interface BrokerOptions {
  readonly listen: ListenAddress;
  readonly stateDir: string;
  readonly authorizePublish: NonNullable<AedesOptions['authorizePublish']>;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly log: OccasionalLog;
  readonly bounds?: SessionBounds;
}

export interface Broker {
  /** Throws when the port is taken or the sessions cannot be opened. */
  start(): Promise<void>;
  stop(): Promise<void>;
  publish(packet: PublishPacket, done: (error?: Error) => void): void;
  /** "host:port". Throws before start. */
  address(): string;
  clients(): number;
}

/** Largest MQTT packet; requests to the twin are bounded more tightly and answered when they are larger. */
const MAX_PACKET = 2 * 1024 * 1024;
const MAX_CLIENTS = 1_000;
/** Clients that have not said CONNECT yet are connections too. */
const MAX_CONNECTIONS = MAX_CLIENTS + 100;
const CONNECT_TIMEOUT_MS = 10_000;
/** A subscriber that takes nothing for so long is cut off: the broker waits for it meanwhile. */
const DRAIN_TIMEOUT_MS = 5_000;
const MAX_TOPIC_LEVELS = 32;
const MAX_QOS2_IN_FLIGHT = 64;
/** CONNACK return code of MQTT 3.1.1 section 3.2.2.3 for a protocol version that the broker does not speak. */
const UNACCEPTABLE_PROTOCOL = 1;

interface Running {
  readonly db: ClassicLevel<string, Buffer>;
  readonly aedes: Aedes;
  readonly server: Server;
  readonly sessions: BoundedSessions;
}

export function createBroker(options: BrokerOptions): Broker {
  const { counters, clock, logger, log } = options;
  let running: Running | undefined;

  async function start(): Promise<void> {
    const db = await openSessions(join(options.stateDir, 'sessions'), clock.nowMs(), logger);
    try {
      running = await serve(db);
    } catch (error) {
      await db.close();
      throw error;
    }
  }

  async function serve(db: ClassicLevel<string, Buffer>): Promise<Running> {
    const online = new Map<string, Client>();
    const bounds = options.bounds ?? SESSION_BOUNDS;
    const isConnected = (id: string): boolean => online.has(id);
    const sessions = new BoundedSessions({ db, bounds, counters, nowMs: clock.nowMs, isConnected });
    const admission = createAdmission({ sessions, online, maxClients: MAX_CLIENTS, counters, log });
    const aedes = new Aedes({
      id: `g${String(await nextGeneration(db)).padStart(10, '0')}`,
      persistence: sessions,
      connectTimeout: CONNECT_TIMEOUT_MS,
      drainTimeout: DRAIN_TIMEOUT_MS,
      maxTopicLevels: MAX_TOPIC_LEVELS,
      maxInflightInbound: MAX_QOS2_IN_FLIGHT,
      authenticate: admission.authenticate,
      authorizePublish: options.authorizePublish,
      authorizeSubscribe: admission.authorizeSubscribe,
      authorizeForward: (_client, packet) => (packet.topic === NOWHERE ? null : packet),
    });
    watch(aedes, admission);
    await aedes.listen();
    const server = createServer((socket) => accept(aedes, socket));
    server.maxConnections = MAX_CONNECTIONS;
    server.on('drop', () => refuse('connection refused: too many', {}));
    await listen(server, options.listen).catch(async (error: unknown) => {
      await closeAedes(aedes);
      throw error;
    });
    return { db, aedes, server, sessions };
  }

  function accept(aedes: Aedes, socket: Socket): void {
    socket.setNoDelay(true);
    aedes.handle(limitFrames(socket, MAX_PACKET, (bytes) => refuse('client cut off: packet too large', { bytes })));
  }

  function watch(aedes: Aedes, admission: Admission): void {
    aedes.on('client', admission.joined);
    aedes.on('clientDisconnect', admission.left);
    aedes.on('unsubscribe', admission.unsubscribed);
    aedes.on('clientError', (client, error) => {
      logger.debug('connection ended', { client: client.id, error });
    });
    aedes.on('connectionError', (_client: Client, error: Error & { errorCode?: number }) => {
      if (error.errorCode !== UNACCEPTABLE_PROTOCOL) logger.debug('connection failed', { error });
      else refuse('client refused: the broker speaks MQTT 3.1.1, set the client to it', { error });
    });
    // aedes does not declare it.
    (aedes as EventEmitter).on('error', (error: Error) =>
      logger.error('the broker cannot use its sessions', { error }),
    );
  }

  function refuse(message: string, fields: Readonly<Record<string, unknown>>): void {
    counters.refusedClients += 1;
    log.warn(message, fields);
  }

  async function stop(): Promise<void> {
    const stopped = running;
    running = undefined;
    if (!stopped) return;
    const closed = new Promise<void>((resolve) => stopped.server.close(() => resolve()));
    await closeAedes(stopped.aedes);
    await closed;
    await stopped.db.close();
  }

  function publish(packet: PublishPacket, done: (error?: Error) => void): void {
    if (running) running.aedes.publish(packet, done);
    else done(new SkerryError('unavailable', 'the broker does not run'));
  }

  function address(): string {
    const bound = running?.server.address();
    if (!bound || typeof bound === 'string') throw new SkerryError('failed_precondition', 'the broker has not started');
    return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
  }

  return { start, stop, publish, address, clients: () => running?.aedes.connectedClients ?? 0 };
}

/** A damaged database is set aside: sessions are lost, devices are not. */
async function openSessions(dir: string, nowMs: number, logger: Logger): Promise<ClassicLevel<string, Buffer>> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  try {
    return await openLevel(dir);
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (systemCode(cause) === 'LEVEL_CORRUPTION') {
      const aside = `${dir}.quarantined-${nowMs}`;
      logger.error('MQTT sessions are damaged and set aside; they start empty', { aside, error: messageOf(cause) });
      await rename(dir, aside);
      return openLevel(dir);
    }
    throw new SkerryError(
      'failed_precondition',
      `cannot open the MQTT sessions in ${dir}: ${messageOf(cause ?? error)}`,
      {
        cause: error,
      },
    );
  }
}

async function openLevel(dir: string): Promise<ClassicLevel<string, Buffer>> {
  const db = new ClassicLevel<string, Buffer>(dir, { valueEncoding: 'buffer' });
  await db.open();
  return db;
}

function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new SkerryError('failed_precondition', `cannot listen for MQTT on ${host}:${port}: ${error.message}`, {
          cause: error,
        }),
      ),
    );
    server.listen({ host, port }, () => resolve());
  });
}

function closeAedes(aedes: Aedes): Promise<void> {
  return new Promise((resolve) => aedes.close(() => resolve()));
}
