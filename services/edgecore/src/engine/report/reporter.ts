// Tells edgecore what was observed: everything when connected, then what changes.
// Invariants: the newest value per key is all that is kept and sent, so nothing queues; a write waits for the stream's drain; a terminal
// status goes as durable.
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '@skerry/common/clock';
import { unixClient } from '@skerry/common/grpc/client';
import type { Logger } from '@skerry/common/logger';
import {
  type Alive,
  type Entry,
  type ReportRequest,
  type ReportResponse,
  ReportServiceClient,
  Settled_Outcome,
} from '@skerry/gen/skerry/edge/v1/edge';
import { keepConnected, type Reconnecting } from '../../sidecar/reconnect.js';
import { readStream } from '../../sidecar/streams.js';

export interface Report {
  readonly version: string;
  readonly payload: Buffer;
  /** On edgecore's disk before the cloud has it. */
  readonly durable: boolean;
}

export interface Reporter {
  start(): void;
  put(key: string, report: Report): void;
  delete(key: string): void;
  /** What was put is all there is: edgecore may forget the keys that were not. */
  ready(): void;
  /** The engine's loop turned. */
  alive(alive: Alive): void;
  stop(): Promise<void>;
}

export interface ReporterOptions {
  readonly edgecoreSocket: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

type Item = NonNullable<ReportRequest['item']>;
type Stream = ClientDuplexStream<ReportRequest, ReportResponse>;

export function createReporter({ edgecoreSocket, clock, logger }: ReporterOptions): Reporter {
  const reports = new Map<string, Report>();
  /** Keys whose newest value the current stream has not been given. */
  let dirty = new Set<string>();
  let isReady = false;
  let completed = false;
  let lastAlive: Alive | undefined;
  let stream: Stream | undefined;
  /** The stream has asked to wait. */
  let full = false;
  let connection: Reconnecting | undefined;

  async function session(signal: AbortSignal, healthy: () => void): Promise<void> {
    const client = unixClient(ReportServiceClient, edgecoreSocket);
    const opened = client.report();
    try {
      opened.on('drain', () => {
        full = false;
        pump(opened);
      });
      opened.on('metadata', healthy);
      stream = opened;
      dirty = new Set(reports.keys());
      completed = false;
      full = !opened.write({ item: { $case: 'start', value: { sidecar: 'engine', controller: 'kube' } } });
      pump(opened);
      await readStream<ReportResponse>(opened, signal, (response) => {
        healthy();
        logRefusal(response, logger);
      });
    } finally {
      stream = undefined;
      client.close();
    }
  }

  /** Writes what is new until the stream asks to wait; `drain` continues. */
  function pump(to: Stream | undefined): void {
    if (!to || to !== stream || full) return;
    for (const item of pending()) {
      full = !to.write({ item });
      if (full) return;
    }
  }

  function* pending(): Generator<Item> {
    for (const key of dirty) {
      dirty.delete(key);
      yield itemOf(key, reports.get(key));
    }
    if (isReady && !completed) {
      completed = true;
      yield { $case: 'complete', value: {} };
    }
    if (lastAlive) {
      const value = lastAlive;
      lastAlive = undefined;
      yield { $case: 'alive', value };
    }
  }

  function changed(key: string): void {
    dirty.add(key);
    pump(stream);
  }

  return {
    start() {
      connection ??= keepConnected({ name: 'reports', session, clock, logger });
    },
    put(key, report) {
      const before = reports.get(key);
      if (before?.version === report.version && before.durable === report.durable) return;
      reports.set(key, report);
      changed(key);
    },
    delete(key) {
      if (reports.delete(key)) changed(key);
    },
    ready() {
      isReady = true;
      pump(stream);
    },
    alive(alive) {
      lastAlive = alive;
      pump(stream);
    },
    async stop() {
      await connection?.stop();
    },
  };
}

function itemOf(key: string, report: Report | undefined): Item {
  if (!report) return { $case: 'deleted', value: { key } };
  const value: Entry = { key, version: report.version, payload: report.payload, absent: false, references: [] };
  return { $case: report.durable ? 'putDurable' : 'put', value };
}

/** The cloud's refusal changes nothing here: the next change of the status is tried again. */
function logRefusal({ event }: ReportResponse, logger: Logger): void {
  if (event?.$case !== 'settled' || event.value.outcome !== Settled_Outcome.OUTCOME_REJECTED) return;
  const { key, code, reason } = event.value;
  logger.warn('the cloud refused a status', { key, code, reason });
}
