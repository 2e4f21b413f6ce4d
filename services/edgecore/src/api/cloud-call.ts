// CloudCallService: calls of sidecars to a controller. Nothing is kept: without a connection a call fails at once.
import type { ServerUnaryCall } from '@grpc/grpc-js';
import { SkerryError } from '@skerry/common/errors';
import { toStatus } from '@skerry/common/grpc/client';
import type { LaneSession } from '@skerry/common/link/types';
import type { CallRequest, CallResponse, CloudCallServiceServer } from '@skerry/gen/skerry/edge/v1/edge';

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 120_000;

/** `sessions` by controller name: "kube", "device". */
export function createCloudCallService(sessions: ReadonlyMap<string, LaneSession>): CloudCallServiceServer {
  async function serve(call: ServerUnaryCall<CallRequest, CallResponse>, signal: AbortSignal): Promise<CallResponse> {
    const { controller, method, payload, timeoutMs } = call.request;
    const session = sessions.get(controller);
    if (!session) {
      const known = [...sessions.keys()].join(', ');
      throw new SkerryError('invalid_argument', `no controller is called "${controller.slice(0, 100)}": want ${known}`);
    }
    const answer = await session.call(method, payload, {
      timeoutMs: Math.min(timeoutMs || DEFAULT_TIMEOUT_MS, MAX_TIMEOUT_MS),
      signal,
    });
    return { payload: Buffer.from(answer) };
  }
  return {
    call(call, callback) {
      const cancelled = new AbortController();
      call.on('cancelled', () => cancelled.abort(new SkerryError('cancelled', 'the caller went away')));
      serve(call, cancelled.signal).then(
        (response) => callback(null, response),
        (error: unknown) => callback(toStatus(error)),
      );
    },
  };
}
