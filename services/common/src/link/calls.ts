// Calls of a lane session, both ways: a request with a deadline, payloads streamed either way, one answer. Never stored.
// Invariants: every call ends: by its answer, its deadline, a cancel or the end of the session; at most MAX_CALLS are under way each way; what
// a slow side has not read stays within the lane's credit.
import type { CallData, CallEnd, CallRequest } from '@skerry/gen/skerry/link/v1/link';
import type { Clock, Timer } from '../clock.js';
import { SkerryError } from '../errors.js';
import { codeOf, toStatus } from '../grpc/client.js';
import { asBuffer } from './bytes.js';
import { createInbox, type Inbox } from './inbox.js';
import { MAX_PAYLOAD_BYTES, MAX_TEXT_LENGTH } from './limits.js';
import type { Body, CallHandler, CallOptions } from './types.js';

export interface CallsOptions {
  readonly send: (body: Body) => void;
  /** True when a request or a payload may be sent. */
  readonly room: () => boolean;
  readonly refund: (bytes: number) => void;
  readonly onViolation: (message: string) => void;
  readonly onCall: CallHandler | undefined;
  readonly clock: Clock;
}

export interface Calls {
  attach(): void;
  detach(reason: string): void;
  call(method: string, payload: Uint8Array, options: CallOptions): Promise<Uint8Array>;
  receive(body: Body, cost: number): void;
  /** There may be room to send. */
  roomCame(): void;
}

const MAX_CALLS = 64;

/** A call of this side. */
interface Outgoing {
  readonly onData: ((payload: Uint8Array) => void) | undefined;
  finish(result: Uint8Array | SkerryError): void;
}

/** A call of the other side. */
interface Incoming {
  readonly inbox: Inbox;
  readonly abort: AbortController;
  readonly deadline: Timer;
}

export function createCalls(options: CallsOptions): Calls {
  const { send, clock, onCall, refund } = options;
  const outgoing = new Map<bigint, Outgoing>();
  const incoming = new Map<bigint, Incoming>();
  let attached = false;
  let lastId = 0n;
  let waiters: (() => void)[] = [];

  function call(method: string, payload: Uint8Array, callOptions: CallOptions): Promise<Uint8Array> {
    const refusal = refusalOf(payload, callOptions);
    if (refusal) return Promise.reject(refusal);
    const { timeoutMs, signal } = callOptions;
    const id = ++lastId;
    return new Promise((resolve, reject) => {
      const giveUp = (error: SkerryError): void => {
        send({ $case: 'callCancel', value: { id } });
        finish(error);
      };
      const onAbort = (): void => giveUp(new SkerryError('cancelled', `call ${method} was cancelled`));
      const timer = clock.after(timeoutMs, () =>
        giveUp(new SkerryError('deadline_exceeded', `call ${method} was not answered within ${timeoutMs} ms`)),
      );
      const finish = (result: Uint8Array | SkerryError): void => {
        if (!outgoing.delete(id)) return;
        timer.cancel();
        signal?.removeEventListener('abort', onAbort);
        wakeAll();
        if (result instanceof Uint8Array) resolve(result);
        else reject(result);
      };
      outgoing.set(id, { onData: callOptions.onData, finish });
      signal?.addEventListener('abort', onAbort, { once: true });
      const streaming = callOptions.outgoing !== undefined;
      send({ $case: 'callRequest', value: { id, method, payload: asBuffer(payload), timeoutMs, streaming } });
      if (callOptions.outgoing) streamOut(id, callOptions.outgoing).catch(() => onAbort());
    });
  }

  function refusalOf(payload: Uint8Array, { signal, timeoutMs }: CallOptions): SkerryError | undefined {
    if (!attached) return new SkerryError('unavailable', 'the other side of the link is away');
    if (signal?.aborted) return new SkerryError('cancelled', 'the call was cancelled before it began');
    if (outgoing.size >= MAX_CALLS)
      return new SkerryError('resource_exhausted', `${MAX_CALLS} calls are under way: try again`);
    if (payload.length > MAX_PAYLOAD_BYTES)
      return new SkerryError('invalid_argument', `a payload of ${payload.length} bytes is over ${MAX_PAYLOAD_BYTES}`);
    if (!(timeoutMs >= 1 && timeoutMs < 2 ** 32))
      return new SkerryError('invalid_argument', `a call timeout of ${timeoutMs} ms is not in 1 to 2^32 - 1`);
    return undefined;
  }

  async function streamOut(id: bigint, payloads: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const payload of payloads) {
      await roomFor(() => outgoing.has(id));
      if (!outgoing.has(id)) return;
      send({ $case: 'callData', value: { id, payload: asBuffer(payload), fromCaller: true, end: false } });
    }
    if (outgoing.has(id))
      send({ $case: 'callData', value: { id, payload: Buffer.alloc(0), fromCaller: true, end: true } });
  }

  /** Waits for room, or until the call is over. */
  async function roomFor(wanted: () => boolean): Promise<void> {
    while (wanted() && !options.room()) await new Promise<void>((resolve) => waiters.push(resolve));
  }

  function wakeAll(): void {
    const woken = waiters;
    waiters = [];
    for (const wake of woken) wake();
  }

  function receive(body: Body, cost: number): void {
    switch (body.$case) {
      case 'callRequest':
        refund(cost);
        takeRequest(body.value);
        return;
      case 'callData':
        takeData(body.value, cost);
        return;
      case 'callEnd':
        refund(cost);
        takeEnd(body.value);
        return;
      case 'callCancel':
        refund(cost);
        drop(body.value.id, new SkerryError('cancelled', 'the caller cancelled'));
        return;
      default:
        options.onViolation(`a ${body.$case} is no call message`);
        return;
    }
  }

  function takeRequest(request: CallRequest): void {
    const { id, method, payload, timeoutMs, streaming } = request;
    if (incoming.has(id)) {
      options.onViolation(`call ${id} was begun twice`);
      return;
    }
    if (!onCall) {
      answerError(id, new SkerryError('unsupported', 'this side serves no calls'));
      return;
    }
    if (incoming.size >= MAX_CALLS) {
      answerError(id, new SkerryError('resource_exhausted', `${MAX_CALLS} calls are under way`));
      return;
    }
    const inbox = createInbox(refund);
    if (!streaming) inbox.end();
    const abort = new AbortController();
    const deadline = clock.after(Math.max(timeoutMs, 1), () => {
      const late = new SkerryError('deadline_exceeded', `call ${method} took longer than ${timeoutMs} ms`);
      drop(id, late);
      answerError(id, late);
    });
    const work: Incoming = { inbox, abort, deadline };
    incoming.set(id, work);
    const mine = (): boolean => incoming.get(id) === work;
    const write = async (data: Uint8Array): Promise<void> => {
      await roomFor(mine);
      if (!mine()) throw new SkerryError('cancelled', `call ${method} is over`);
      send({ $case: 'callData', value: { id, payload: asBuffer(data), fromCaller: false, end: false } });
    };
    const handled = async (): Promise<void> => {
      const result = await onCall(payload, { method, signal: abort.signal, incoming: inbox, write });
      // An answer may be long: it waits for room like any other payload, and counts as under way until then.
      await roomFor(mine);
      if (mine()) complete(id, work, () => answer(id, result));
    };
    handled().catch((error: unknown) => {
      if (mine()) complete(id, work, () => answerError(id, error));
    });
  }

  function complete(id: bigint, { deadline, inbox }: Incoming, reply: () => void): void {
    incoming.delete(id);
    deadline.cancel();
    inbox.fail(new SkerryError('cancelled', 'the call is over'));
    reply();
    wakeAll();
  }

  function answer(id: bigint, payload: Uint8Array): void {
    if (payload.length > MAX_PAYLOAD_BYTES) {
      answerError(id, new SkerryError('resource_exhausted', `the answer is over ${MAX_PAYLOAD_BYTES} bytes`));
      return;
    }
    send({ $case: 'callEnd', value: { id, payload: asBuffer(payload), code: 0, message: '' } });
  }

  function answerError(id: bigint, error: unknown): void {
    const { code, details } = toStatus(error);
    const message = details.slice(0, MAX_TEXT_LENGTH);
    send({ $case: 'callEnd', value: { id, payload: Buffer.alloc(0), code, message } });
  }

  /** Gives up a call of the other side without an answer. */
  function drop(id: bigint, reason: SkerryError): void {
    const work = incoming.get(id);
    if (!work) return;
    incoming.delete(id);
    work.deadline.cancel();
    work.inbox.fail(reason);
    work.abort.abort(reason);
    wakeAll();
  }

  function takeData({ id, payload, fromCaller, end }: CallData, cost: number): void {
    if (!fromCaller) {
      refund(cost);
      outgoing.get(id)?.onData?.(payload);
      return;
    }
    const work = incoming.get(id);
    // The call may have ended while this was on its way.
    if (!work) {
      refund(cost);
      return;
    }
    if (payload.length > 0) work.inbox.push(payload, cost);
    else refund(cost);
    if (end) work.inbox.end();
  }

  function takeEnd({ id, payload, code, message }: CallEnd): void {
    const result = code === statusOk ? payload : new SkerryError(codeOf(code), message);
    outgoing.get(id)?.finish(result);
  }

  function detach(reason: string): void {
    attached = false;
    const error = new SkerryError('unavailable', `the other side of the link is away: ${reason}`);
    for (const { finish } of [...outgoing.values()]) finish(error);
    for (const id of [...incoming.keys()]) drop(id, error);
    wakeAll();
  }

  return {
    attach: () => {
      attached = true;
    },
    detach,
    call,
    receive,
    roomCame: wakeAll,
  };
}

const statusOk = 0;
