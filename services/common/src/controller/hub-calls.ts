// Calls that a hub itself makes to a controller (enrolment and renewal for its callers): one request, one answer, about no node.
// Invariants: bounded calls under way, each answered once unless cancelled; an id that is in use is not served twice.

import type { CallEnd, CallRequest, Lane } from '@skerry/gen/skerry/link/v1/link';
import type { Clock, Timer } from '../clock.js';
import { SkerryError } from '../errors.js';
import { toStatus } from '../grpc/client.js';
import { MAX_TEXT_LENGTH } from '../link/limits.js';
import type { Channel, Envelope } from '../link/types.js';

/** Answers a call of the hub; a thrown SkerryError's code becomes the status. */
export type HubCallHandler = (method: string, payload: Uint8Array) => Promise<Uint8Array>;

export interface HubCalls {
  /** Takes an envelope without a node on a call lane. */
  receive(envelope: Envelope): void;
  /** The channel has ended: what is still under way is not answered. */
  close(): void;
}

/** More than the hub's admission lets through at once. */
const MAX_UNDER_WAY = 64;

export function serveHubCalls(options: {
  readonly channel: Pick<Channel, 'send'>;
  readonly handler: HubCallHandler | undefined;
  readonly clock: Clock;
}): HubCalls {
  const { channel, handler, clock } = options;
  const underWay = new Map<bigint, Timer>();

  /** False when somebody answered already, or nobody waits. */
  function forget(id: bigint): boolean {
    underWay.get(id)?.cancel();
    return underWay.delete(id);
  }

  function answer(lane: Lane, end: CallEnd): void {
    if (forget(end.id)) channel.send({ lane, node: '', body: { $case: 'callEnd', value: end } });
  }

  function fail(lane: Lane, id: bigint, error: unknown): void {
    const { code, details } = toStatus(error);
    answer(lane, { id, payload: Buffer.alloc(0), code, message: details.slice(0, MAX_TEXT_LENGTH) });
  }

  function serve(lane: Lane, { id, method, payload, timeoutMs }: CallRequest): void {
    if (underWay.has(id)) return;
    const overdue = (): void => fail(lane, id, new SkerryError('deadline_exceeded', `${method}: not done in time`));
    const full = underWay.size >= MAX_UNDER_WAY;
    underWay.set(id, clock.after(timeoutMs, overdue));
    if (full) fail(lane, id, new SkerryError('resource_exhausted', `${MAX_UNDER_WAY} calls are under way: try again`));
    else if (!handler) fail(lane, id, new SkerryError('unsupported', 'this controller serves no calls of a hub'));
    else
      handler(method, payload).then(
        (result) => answer(lane, { id, payload: Buffer.from(result), code: 0, message: '' }),
        (error: unknown) => fail(lane, id, error),
      );
  }

  return {
    receive({ lane, body }) {
      if (body.$case === 'callRequest') serve(lane, body.value);
      else if (body.$case === 'callCancel') forget(body.value.id);
    },
    close() {
      for (const id of [...underWay.keys()]) forget(id);
    },
  };
}
