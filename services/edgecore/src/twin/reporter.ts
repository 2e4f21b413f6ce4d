// Tells edgecore the newest status of every device. Invariants: after connecting all devices are told, then complete, then changes; a device that
// changes faster than it can be told is told once, as it is then; Alive follows each turn, so that silence means that the loop stands.
import type { Clock } from '@skerry/common/clock';
import { unixClient } from '@skerry/common/grpc/client';
import { deviceStatusKey } from '@skerry/common/keys';
import type { Logger } from '@skerry/common/logger';
import { versionOf } from '@skerry/common/version';
import {
  type ReportRequest,
  type ReportResponse,
  ReportServiceClient,
  Settled_Outcome,
} from '@skerry/gen/skerry/edge/v1/edge';
import { keepConnected } from '../sidecar/reconnect.js';
import { send } from '../sidecar/send.js';
import { deviceStatusOf } from './device-status.js';
import type { DeviceTwin } from './types.js';

/** Pause between turns: bounds what a burst of readings costs edgecore. */
const TURN_MS = 100;
/** A turn without changes still says Alive. */
const IDLE_MS = 10_000;
/** Raised when the form of a status changes. */
const PROJECTION = 1;

type Item = NonNullable<ReportRequest['item']>;

export interface ReporterOptions {
  readonly socket: string;
  readonly twins: () => ReadonlyMap<string, DeviceTwin>;
  /** Undefined while the twin can do its work, else why not. */
  readonly trouble: () => string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Reporter {
  /** The status of these devices changed, or they are gone. */
  dirty(ids: readonly string[]): void;
  stop(): Promise<void>;
}

export function startReporter(options: ReporterOptions): Reporter {
  const { twins, trouble, clock, logger } = options;
  const client = unixClient(ReportServiceClient, options.socket);
  const dirtyIds = new Set<string>();
  let wake: () => void = () => {};

  async function session(signal: AbortSignal, healthy: () => void): Promise<void> {
    const stream = client.report();
    const ended = new AbortController();
    const end = (): void => ended.abort();
    const cancel = (): void => stream.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    // Every stream ends with a status, whoever ended it.
    const over = new Promise<unknown>((resolve) => stream.once('status', resolve));
    let failure: Error | undefined;
    stream.on('error', (error) => {
      failure = error;
      end();
    });
    stream.on('end', end);
    stream.on('data', (response: ReportResponse) => {
      healthy();
      heard(response);
    });
    try {
      await talk((item) => send<ReportRequest>(stream, { item }, ended.signal), ended.signal);
    } catch (error) {
      if (!ended.signal.aborted) throw error;
    } finally {
      signal.removeEventListener('abort', cancel);
      cancel();
      await over;
    }
    if (failure) throw failure;
  }

  async function talk(write: (item: Item) => Promise<void>, ended: AbortSignal): Promise<void> {
    await write({ $case: 'start', value: { sidecar: 'twin', controller: 'device' } });
    dirtyIds.clear();
    for (const id of [...twins().keys()]) await tell(id, write);
    await write({ $case: 'complete', value: {} });
    for (;;) {
      const ids = [...dirtyIds];
      dirtyIds.clear();
      for (const id of ids) await tell(id, write);
      await write({ $case: 'alive', value: aliveness() });
      await clock.sleep(TURN_MS, ended);
      if (dirtyIds.size === 0) await changeOrIdle(ended);
    }
  }

  async function tell(id: string, write: (item: Item) => Promise<void>): Promise<void> {
    const twin = twins().get(id);
    const [namespace = '', name = ''] = id.split('/');
    const key = deviceStatusKey(namespace, name);
    if (!twin) return write({ $case: 'deleted', value: { key } });
    const status = deviceStatusOf(twin);
    const version = versionOf(PROJECTION, twin.head.uid, status);
    const payload = Buffer.from(JSON.stringify(status));
    return write({ $case: 'put', value: { key, version, payload, absent: false, references: [] } });
  }

  function changeOrIdle(ended: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        ended.removeEventListener('abort', done);
        wake = () => {};
        resolve();
      };
      const timer = clock.after(IDLE_MS, done);
      ended.addEventListener('abort', done, { once: true });
      wake = done;
      if (ended.aborted) done();
    });
  }

  function aliveness(): { ok: boolean; reason: string } {
    const reason = trouble();
    return { ok: reason === undefined, reason: reason ?? '' };
  }

  function heard({ event }: ReportResponse): void {
    if (event?.$case !== 'settled' || event.value.outcome !== Settled_Outcome.OUTCOME_REJECTED) return;
    const { key, code, reason } = event.value;
    logger.warn('the cloud refused a device status', { key, code, reason });
  }

  const connection = keepConnected({ name: 'report', session, clock, logger });
  return {
    dirty(ids) {
      for (const id of ids) dirtyIds.add(id);
      if (ids.length > 0) wake();
    },
    async stop() {
      await connection.stop();
      client.close();
    },
  };
}
