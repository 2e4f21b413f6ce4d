// The bridge sidecar: MQTT clients on one side, the twin on the other. Keeps no twin state; what it stores is MQTT's own (durable sessions).
// Invariant: it stops the twin's side first, so that nothing is acknowledged or willed while it goes.
import { dirname, join } from 'node:path';
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import type { Clock } from '@skerry/common/clock';
import { createGrpcServer } from '@skerry/common/grpc/server';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import { BridgeServiceService, type GetBrokerRequest, type GetBrokerResponse } from '@skerry/gen/skerry/edge/v1/bridge';
import { acquireExclusive, type Exclusive } from '../disk/exclusive.js';
import { createBroker } from './broker.js';
import { createCounters } from './counters.js';
import { createGate } from './gate.js';
import { parseListenAddress } from './listen-address.js';
import { createOccasionalLog } from './occasional-log.js';
import { createPublisher } from './publisher.js';
import { createTwinLink } from './twin-link.js';

export interface BridgeOptions {
  readonly node: string;
  /** Where the twin serves TwinService. */
  readonly twinSocket: string;
  /** Where BridgeService is served. */
  readonly socket: string;
  readonly stateDir: string;
  /** "host:port" of the embedded broker; loopback only. Port 0 takes a free one. */
  readonly listen: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Bridge extends Component {
  /** Where the broker listens: "host:port". Throws before start. */
  address(): string;
}

/** Throws `invalid_argument` when `listen` is no loopback address. */
export function createBridge(options: BridgeOptions): Bridge {
  const { node, clock, logger } = options;
  const listen = parseListenAddress(options.listen);
  const counters = createCounters();
  const log = createOccasionalLog(logger, clock);
  const link = createTwinLink({
    socket: options.twinSocket,
    onNotice: (response) => gate.notice(response),
    clock,
    logger,
  });
  const publisher = createPublisher({ send: (packet, done) => broker.publish(packet, done), counters, log });
  const gate = createGate({ node, link, publisher, counters, clock, log });
  const { authorizePublish } = gate;
  const broker = createBroker({ listen, stateDir: options.stateDir, authorizePublish, counters, clock, logger, log });
  const server = createGrpcServer({
    name: 'bridge',
    services: [{ definition: BridgeServiceService, implementation: { getBroker } }],
    listen: { kind: 'unix', path: options.socket },
    clock,
    logger,
  });
  let lock: Exclusive | undefined;

  function getBroker(
    _call: ServerUnaryCall<GetBrokerRequest, GetBrokerResponse>,
    done: sendUnaryData<GetBrokerResponse>,
  ): void {
    const { received, published, refused } = counters;
    done(null, {
      address: broker.address(),
      clients: broker.clients(),
      received: BigInt(received),
      published: BigInt(published),
      refused: BigInt(refused),
    });
  }

  async function start(): Promise<void> {
    lock = await acquireExclusive(join(dirname(options.socket), 'bridge.lock'));
    try {
      await broker.start();
      // After the broker: the twin begins with what clients have to know.
      link.start();
      await server.start();
    } catch (error) {
      await letGo();
      throw error;
    }
    logger.info('MQTT broker listens', { node, address: broker.address() });
  }

  async function stop(deadline: AbortSignal): Promise<void> {
    await server.stop(deadline);
    await letGo();
    logger.info('MQTT broker stopped', { ...counters });
  }

  async function letGo(): Promise<void> {
    await link.stop();
    await broker.stop();
    await lock?.release();
    lock = undefined;
  }

  return { name: 'bridge', start, stop, address: broker.address };
}
