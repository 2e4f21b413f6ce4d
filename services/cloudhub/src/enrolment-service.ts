// EnrolmentService: hands requests of machines that are not nodes yet, and renewals of nodes, to an attached edgecontroller.
// Invariants: the hub judges nothing but the pace and, for a renewal, the certificate; tokens and proofs are not logged.
import type { sendUnaryData } from '@grpc/grpc-js';
import type { Clock } from '@skerry/common/clock';
import { messageOf, SkerryError } from '@skerry/common/errors';
import { toStatus } from '@skerry/common/grpc/client';
import type { Logger } from '@skerry/common/logger';
import { ENROLL_METHOD, encodeRelayedRenewal, RENEW_METHOD } from '@skerry/common/pki/relay';
import {
  EnrollRequest,
  EnrollResponse,
  type EnrolmentServiceServer,
  RenewResponse,
} from '@skerry/gen/skerry/cloud/v1/cloud';
import { Controller } from '@skerry/gen/skerry/link/v1/link';
import { createCallerLimiter, hostOf } from './caller-limiter.js';
import type { Counters } from './counters.js';
import type { Hub } from './hub.js';
import { requireNode } from './identity.js';

export interface EnrolmentServiceOptions {
  readonly hub: Pick<Hub, 'callController'>;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly logger: Logger;
}

/** A hundred machines behind one address enrol in a minute; guessing a token takes for ever either way. */
const LIMITS = { burst: 50, perSecond: 1, maxCallers: 10_000 };
const TIMEOUT_MS = 15_000;
/** A node name, a token, a key and a proof take less. Anybody may send one, and the link to the controller carries it in one frame. */
const MAX_REQUEST_BYTES = 4_096;

export function createEnrolmentService(options: EnrolmentServiceOptions): EnrolmentServiceServer {
  const { hub, clock, counters, logger } = options;
  const limiter = createCallerLimiter(LIMITS);

  /** `prepare` says by whom the pace is counted and what is sent; it throws for a caller who may not ask. */
  async function relay(
    peer: string,
    method: string,
    prepare: () => { readonly who: string; readonly payload: Buffer },
  ): Promise<Uint8Array> {
    try {
      const { who, payload } = prepare();
      if (!limiter.take(who, clock.monotonicMs()))
        throw new SkerryError('resource_exhausted', `too many requests of ${who}: try again in a minute`);
      if (payload.length > MAX_REQUEST_BYTES)
        throw new SkerryError(
          'invalid_argument',
          `${payload.length} bytes are no request: at most ${MAX_REQUEST_BYTES}`,
        );
      const answer = await hub.callController(Controller.CONTROLLER_KUBE, method, payload, TIMEOUT_MS);
      counters.enrolmentsRelayed += 1;
      return answer;
    } catch (error) {
      counters.enrolmentsRefused += 1;
      logger.warn('enrolment refused', { peer, method, error: messageOf(error) });
      throw error;
    }
  }

  return {
    enroll: (call, callback) => {
      const prepare = () => ({
        who: hostOf(call.getPeer()),
        payload: Buffer.from(EnrollRequest.encode(call.request).finish()),
      });
      answer(relay(call.getPeer(), ENROLL_METHOD, prepare), (bytes) => EnrollResponse.decode(bytes), callback);
    },
    renew: (call, callback) => {
      const prepare = () => {
        const node = requireNode(call);
        return { who: `node ${node}`, payload: encodeRelayedRenewal({ node, request: call.request }) };
      };
      answer(relay(call.getPeer(), RENEW_METHOD, prepare), (bytes) => RenewResponse.decode(bytes), callback);
    },
  };
}

function answer<T>(relayed: Promise<Uint8Array>, decode: (bytes: Uint8Array) => T, callback: sendUnaryData<T>): void {
  relayed.then(decode).then(
    (response) => callback(null, response),
    (error: unknown) => callback(toStatus(error)),
  );
}
