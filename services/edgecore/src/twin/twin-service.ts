// TwinService: bridges ask, the twin answers. Invariants: the answers of a stream come in the order of its requests, each after what it says is
// on disk; a stream is not read while too much of it is being worked on; what a stream does not take is bounded.
import { Metadata, type ServerDuplexStream, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import type {
  ExchangeRequest,
  ExchangeResponse,
  GetTwinRequest,
  GetTwinResponse,
  TwinServiceServer,
} from '@skerry/gen/skerry/edge/v1/twin';
import type { Notice, Result } from './core.js';
import { documentMessage } from './messages.js';
import { type DeviceTwin, deviceId, LIMITS } from './types.js';

export interface TwinServiceOptions {
  /** Hands the result over once it is on disk, in the order of the calls. */
  readonly submit: (request: ExchangeRequest, deliver: (result: Result) => void) => void;
  /** What a bridge that connects has to know. */
  readonly welcome: () => readonly Notice[];
  readonly find: (id: string) => DeviceTwin | undefined;
  readonly nowMs: () => number;
}

export interface TwinService {
  readonly implementation: TwinServiceServer;
  /** Says it on every stream. */
  notify(notices: readonly Notice[]): void;
  /** Ends all streams: the bridges connect again. */
  endStreams(): void;
}

type Stream = ServerDuplexStream<ExchangeRequest, ExchangeResponse>;

/** Answers and notices that a stream has not taken yet. Past it the bridge is stuck: its stream is ended. */
const MAX_UNSENT = 2 * LIMITS.requestsInFlight;
const RESOURCE_EXHAUSTED = { code: status.RESOURCE_EXHAUSTED };

export function createTwinService(options: TwinServiceOptions): TwinService {
  const { submit, welcome, find, nowMs } = options;
  const streams = new Set<Stream>();

  function exchange(stream: Stream): void {
    let inFlight = 0;
    /** Under way until the stream has taken the answer: a bridge that does not read is not read either. */
    const taken = (): void => {
      inFlight -= 1;
      if (stream.isPaused() && inFlight < LIMITS.requestsInFlight / 2) stream.resume();
    };
    // Tells the bridge at once that it is connected.
    stream.sendMetadata(new Metadata());
    streams.add(stream);
    const forget = (): void => void streams.delete(stream);
    stream.on('data', (request: ExchangeRequest) => {
      inFlight += 1;
      if (inFlight >= LIMITS.requestsInFlight) stream.pause();
      submit(request, (result) => stream.write(responseTo(request, result), taken));
    });
    stream.on('end', () => stream.end());
    stream.on('error', forget);
    stream.on('close', forget);
    stream.on('cancelled', forget);
    for (const notice of welcome()) notify(stream, notice);
  }

  function notify(stream: Stream, notice: Notice): void {
    if (stream.writableLength < MAX_UNSENT) stream.write(noticeResponse(notice));
    // An error event, not destroy(): only that tells the bridge.
    else stream.emit('error', Object.assign(new Error('the bridge does not take what it is told'), RESOURCE_EXHAUSTED));
  }

  function getTwin(call: ServerUnaryCall<GetTwinRequest, GetTwinResponse>, done: sendUnaryData<GetTwinResponse>): void {
    const { namespace = '', name = '' } = call.request.device ?? {};
    const id = deviceId(namespace, name);
    const twin = find(id);
    if (twin) done(null, { ...documentMessage(twin), state: twin.head.state });
    else done({ code: status.NOT_FOUND, details: `device "${id.slice(0, 320)}" is not known on this node` });
  }

  function responseTo({ id, device, eventId }: ExchangeRequest, result: Result): ExchangeResponse {
    return { id, device, eventId, timestampMs: now(), result };
  }

  function noticeResponse({ device, result }: Notice): ExchangeResponse {
    return { id: 0n, device, eventId: '', timestampMs: now(), result };
  }

  const now = (): bigint => BigInt(Math.trunc(nowMs()));

  return {
    implementation: { exchange, getTwin },
    notify: (notices) => {
      for (const stream of streams) for (const notice of notices) notify(stream, notice);
    },
    endStreams: () => {
      for (const stream of streams) stream.end();
    },
  };
}
