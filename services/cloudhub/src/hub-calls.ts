// Calls of the hub itself to a controller: on its call lane, about no node. Used to relay enrolment.
// Invariants: every call ends, by its answer, its timeout or the end of the controller's session; no more than MAX_PENDING at once.
import type { Clock, Timer } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import { codeOf } from '@skerry/common/grpc/client';
import { lanesOf } from '@skerry/common/link/lanes';
import type { Body, Channel } from '@skerry/common/link/types';
import type { ControllerKind } from './registry.js';

/** The controller that is called: its session's number, kind and channel. */
export interface Callee {
  readonly session: number;
  readonly kind: ControllerKind;
  readonly channel: Channel;
}

export interface HubCalls {
  /** Throws `resource_exhausted`, `deadline_exceeded`, `unavailable`, or what the controller answered. */
  call(callee: Callee, method: string, payload: Buffer, timeoutMs: number): Promise<Uint8Array>;
  /** A frame of a controller about no node. */
  receive(session: number, body: Body): void;
  ended(session: number): void;
}

const MAX_PENDING = 64;

interface Pending {
  readonly session: number;
  readonly timer: Timer;
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: SkerryError) => void;
}

export function createHubCalls(clock: Clock): HubCalls {
  const pending = new Map<bigint, Pending>();
  let lastId = 0n;

  function call(
    { session, kind, channel }: Callee,
    method: string,
    payload: Buffer,
    timeoutMs: number,
  ): Promise<Uint8Array> {
    const lane = lanesOf(kind)?.call;
    if (lane === undefined || pending.size >= MAX_PENDING)
      return Promise.reject(
        new SkerryError('resource_exhausted', `${pending.size} requests wait already: try again later`),
      );
    lastId += 1n;
    const id = lastId;
    const send = (body: Body): void => channel.send({ lane, node: '', body });
    return new Promise((resolve, reject) => {
      const timer = clock.after(timeoutMs, () => {
        send({ $case: 'callCancel', value: { id } });
        settle(id)?.reject(
          new SkerryError('deadline_exceeded', `the controller did not answer within ${timeoutMs} ms`),
        );
      });
      pending.set(id, { session, timer, resolve, reject });
      send({ $case: 'callRequest', value: { id, method, payload, timeoutMs, streaming: false } });
    });
  }

  /** Whoever takes a call out of the list ends it. */
  function settle(id: bigint): Pending | undefined {
    const found = pending.get(id);
    pending.delete(id);
    found?.timer.cancel();
    return found;
  }

  function receive(session: number, body: Body): void {
    if (body.$case !== 'callEnd') return;
    const { id, code, message, payload } = body.value;
    if (pending.get(id)?.session !== session) return;
    const found = settle(id);
    if (code === 0) found?.resolve(payload);
    else found?.reject(new SkerryError(codeOf(code), message));
  }

  function ended(session: number): void {
    for (const [id, entry] of pending) {
      if (entry.session === session)
        settle(id)?.reject(new SkerryError('unavailable', 'the controller went away: try again'));
    }
  }

  return { call, receive, ended };
}
