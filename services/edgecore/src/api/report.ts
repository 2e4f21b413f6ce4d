// ReportService: observed state and logs from sidecars.
// Invariants: a stream says first who it is; what it broke ends it with an error that names the rule; answers that a sidecar does not read
// are bounded.
import type { ServerDuplexStream, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import type { Clock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import { toStatus } from '@skerry/common/grpc/client';
import type { Settlement } from '@skerry/common/link/types';
import {
  type AppendLogRequest,
  type AppendLogResponse,
  type Entry,
  type ReportRequest,
  type ReportResponse,
  type ReportServiceServer,
  Settled_Outcome,
} from '@skerry/gen/skerry/edge/v1/edge';
import { Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import { isSidecarName } from '../config/layout.js';
import type { ObservedState, Reporter } from '../hub/observed-state.js';
import type { SegmentLog } from '../log/segment-log.js';
import type { SidecarAlive } from '../supervisor/alive.js';

type ReportCall = ServerDuplexStream<ReportRequest, ReportResponse>;
type Item = NonNullable<ReportRequest['item']>;

export interface ReportServiceOptions {
  /** By controller name: "kube", "device". */
  readonly tables: ReadonlyMap<string, ObservedState>;
  /** By stream name. */
  readonly logs: ReadonlyMap<string, SegmentLog>;
  readonly onLogGrew: (stream: string) => void;
  readonly onAlive: (sidecar: string, alive: SidecarAlive) => void;
  readonly clock: Clock;
}

/** Answers that a reporter has not read. */
const MAX_UNREAD = 20_000;

export function createReportService(options: ReportServiceOptions): ReportServiceServer {
  return {
    report: (call) => serveReport(call, options),
    appendLog: (call, callback) => {
      appendLog(call, options).then(
        (response) => callback(null, response),
        (error: unknown) => callback(toStatus(error)),
      );
    },
  } satisfies {
    report: (call: ReportCall) => void;
    appendLog: (
      call: ServerUnaryCall<AppendLogRequest, AppendLogResponse>,
      callback: sendUnaryData<AppendLogResponse>,
    ) => void;
  };
}

async function appendLog(
  { request }: ServerUnaryCall<AppendLogRequest, AppendLogResponse>,
  { logs, onLogGrew }: ReportServiceOptions,
): Promise<AppendLogResponse> {
  const log = logs.get(request.stream);
  if (!log) {
    const known = [...logs.keys()].join(', ');
    throw new SkerryError(
      'invalid_argument',
      `no log stream is called "${request.stream.slice(0, 100)}": want ${known}`,
    );
  }
  const n = await log.append(request.payloads);
  onLogGrew(request.stream);
  return { n };
}

function serveReport(call: ReportCall, { tables, onAlive, clock }: ReportServiceOptions): void {
  const send = boundedSender(call, fail);
  let reporter: Reporter | undefined;
  let sidecar = '';
  let isOver = false;

  function finish(): void {
    if (isOver) return;
    isOver = true;
    reporter?.close();
  }

  function fail(error: unknown): void {
    if (isOver) return;
    finish();
    call.emit('error', toStatus(error));
  }

  function start(item: Item): void {
    if (item.$case !== 'start') throw new SkerryError('invalid_argument', 'the first message has to be start');
    const table = tables.get(item.value.controller);
    if (!table || !isSidecarName(item.value.sidecar)) {
      throw new SkerryError(
        'invalid_argument',
        `start names an unknown sidecar or controller: ${JSON.stringify(item.value)}`,
      );
    }
    sidecar = item.value.sidecar;
    reporter = table.open(sidecar, (key, version, settlement) => {
      send({ event: { $case: 'settled', value: settledOf(key, version, settlement) } });
    });
  }

  function take(item: Item, open: Reporter): void {
    switch (item.$case) {
      case 'start':
        throw new SkerryError('invalid_argument', 'start came twice');
      case 'put':
        open.put(item.value.key, entryOf(item.value));
        return;
      case 'putDurable': {
        const { key, version } = item.value;
        open
          .putDurable(key, entryOf(item.value))
          .then(() => send({ event: { $case: 'stored', value: { key, version } } }), fail);
        return;
      }
      case 'deleted':
        open.delete(item.value.key);
        return;
      case 'complete':
        open.complete();
        return;
      case 'alive':
        onAlive(sidecar, { atMs: clock.monotonicMs(), ok: item.value.ok, reason: item.value.reason });
        return;
    }
  }

  call.on('data', ({ item }: ReportRequest) => {
    if (isOver) return;
    try {
      if (!item) throw new SkerryError('invalid_argument', 'a message without an item came');
      if (reporter) take(item, reporter);
      else start(item);
    } catch (error) {
      fail(error);
    }
  });
  call.on('end', () => {
    finish();
    call.end();
  });
  call.on('close', finish);
  call.on('error', finish);
}

function entryOf({ version, payload, absent, references }: Entry) {
  return { version, payload, absent, references };
}

const OUTCOMES: ReadonlyMap<Done_Outcome, Settled_Outcome> = new Map([
  [Done_Outcome.OUTCOME_APPLIED, Settled_Outcome.OUTCOME_APPLIED],
  [Done_Outcome.OUTCOME_REJECTED, Settled_Outcome.OUTCOME_REJECTED],
  [Done_Outcome.OUTCOME_GONE, Settled_Outcome.OUTCOME_GONE],
]);

function settledOf(key: string, version: string, { outcome, code, reason }: Settlement) {
  return { key, version, code, reason, outcome: OUTCOMES.get(outcome) ?? Settled_Outcome.OUTCOME_UNSPECIFIED };
}

/** Writes, or keeps up to a bound what the stream does not take yet. */
function boundedSender(call: ReportCall, fail: (error: unknown) => void): (response: ReportResponse) => void {
  const unread: ReportResponse[] = [];
  let isBlocked = false;
  call.on('drain', () => {
    isBlocked = false;
    const waiting = unread.splice(0);
    for (const response of waiting) send(response);
  });
  function send(response: ReportResponse): void {
    if (call.destroyed || call.writableEnded) return;
    if (!isBlocked) isBlocked = !call.write(response);
    else if (unread.length < MAX_UNREAD) unread.push(response);
    else fail(new SkerryError('resource_exhausted', `${MAX_UNREAD} answers were not read`));
  }
  return send;
}
