// cloudhub put together: one gRPC server with its services, and what runs beside it.
// Invariant: nothing here outlives `stop`; sessions hear Goodbye before the server closes.
import type { Clock } from '@skerry/common/clock';
import { createGrpcServer } from '@skerry/common/grpc/server';
import { createTlsReloader, createTlsSource, loadTlsFiles } from '@skerry/common/grpc/tls';
import type { KubeClient } from '@skerry/common/kube/client';
import type { Component } from '@skerry/common/lifecycle';
import { withFrameCodec } from '@skerry/common/link/frame-codec';
import { linkServerOptions } from '@skerry/common/link/grpc-options';
import type { Logger } from '@skerry/common/logger';
import {
  ControllerLinkServiceService,
  EdgeLinkServiceService,
  EnrolmentServiceService,
} from '@skerry/gen/skerry/cloud/v1/cloud';
import { createAdmission } from './admission.js';
import { type Counters, createCounters } from './counters.js';
import { createEnrolmentService } from './enrolment-service.js';
import { createHousekeeping } from './housekeeping.js';
import { createHub } from './hub.js';
import { createLeaseKeeper } from './leases.js';
import { createLinkServices } from './link-services.js';

export interface CloudhubOptions {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  /** With tls.crt, tls.key and ca.crt; looked at again while running. */
  readonly tlsDir: string;
  /** How often; 10 s unless given. */
  readonly tlsLookMs?: number;
  readonly instance: string;
  readonly kube: Pick<KubeClient, 'patch' | 'create'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly utilization: () => number;
  readonly logger: Logger;
}

export interface Cloudhub {
  /** To be started in this order and stopped in the reverse one. */
  readonly components: readonly Component[];
  /** Throws before the start. */
  address(): string;
  port(): number;
  counters(): Readonly<Counters>;
  size(): { readonly edges: number; readonly controllers: number };
}

const TLS_LOOK_MS = 10_000;
/** A peer needs one stream, and a few calls beside it. */
const MAX_STREAMS_PER_CONNECTION = 32;
/** A connection without any call on it is closed after this. */
const MAX_IDLE_MS = 60_000;

/** Throws `not_found` or `invalid_argument` when the TLS folder is unusable. */
export async function createCloudhub(options: CloudhubOptions): Promise<Cloudhub> {
  const { clock, random, logger } = options;
  const tls = createTlsSource(await loadTlsFiles(options.tlsDir));
  const counters = createCounters();
  const leases = createLeaseKeeper({ kube: options.kube, clock, random, counters, logger });
  const hub = createHub({ clock, counters, logger, onHeartbeat: leases.heartbeat, onAway: leases.forget });
  const admission = createAdmission(random, clock.monotonicMs());
  const links = createLinkServices({ hub, admission, instance: options.instance, clock, counters, logger });
  const server = createGrpcServer({
    name: 'cloudhub',
    services: [
      { definition: withFrameCodec(EdgeLinkServiceService), implementation: links.edge },
      { definition: withFrameCodec(ControllerLinkServiceService), implementation: links.controller },
      {
        definition: EnrolmentServiceService,
        implementation: createEnrolmentService({ hub, clock, counters, logger }),
      },
    ],
    listen: { kind: 'tcp', host: options.host, port: options.port, credentials: tls.serverCredentials() },
    channelOptions: {
      ...linkServerOptions(),
      'grpc.max_concurrent_streams': MAX_STREAMS_PER_CONNECTION,
      'grpc.max_connection_idle_ms': MAX_IDLE_MS,
    },
    clock,
    logger,
    beforeStop: async () => {
      links.shutDown();
      hub.shutDown();
    },
  });
  const components = [
    leases,
    createTlsReloader({
      dir: options.tlsDir,
      source: tls,
      intervalMs: options.tlsLookMs ?? TLS_LOOK_MS,
      clock,
      logger,
    }),
    createHousekeeping({
      admission,
      utilization: options.utilization,
      counters,
      gauges: () => ({ ...hub.size(), admissionPerSecond: Math.round(admission.rate()) }),
      clock,
      logger,
    }),
    server,
  ];
  return { components, address: server.address, port: server.port, counters: () => counters, size: hub.size };
}
