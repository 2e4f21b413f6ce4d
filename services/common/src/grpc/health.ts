// The gRPC health service (grpc/doc/health-checking.md) for one server; our own 40 lines because the ready-made package pulls in a protobuf
// runtime of 4 MB, which an edge node feels.
import { type ServerWritableStream, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import {
  type HealthCheckRequest,
  type HealthCheckResponse,
  type HealthServer,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '@skerry/gen/grpc/health/v1/health';

export interface Health {
  readonly implementation: UntypedServiceImplementation;
  setServing(serving: boolean): void;
  /** Ends every Watch. */
  close(): void;
}

type WatchCall = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

/** The whole server is one service, named "": the only name that probes use without configuration. */
export function createHealth(): Health {
  let current = ServingStatus.NOT_SERVING;
  const watchers = new Set<WatchCall>();

  const implementation: HealthServer = {
    check(call, callback) {
      if (call.request.service === '') callback(null, { status: current });
      else
        callback({ code: status.NOT_FOUND, details: `service "${call.request.service}" is not watched; ask for ""` });
    },
    watch(call) {
      if (call.request.service !== '') {
        call.write({ status: ServingStatus.SERVICE_UNKNOWN });
        return;
      }
      watchers.add(call);
      call.on('close', () => watchers.delete(call));
      call.write({ status: current });
    },
  };

  return {
    implementation,
    setServing(serving) {
      const next = serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
      if (next === current) return;
      current = next;
      for (const call of watchers) call.write({ status: current });
    },
    close() {
      for (const call of watchers) call.end();
      watchers.clear();
    },
  };
}
