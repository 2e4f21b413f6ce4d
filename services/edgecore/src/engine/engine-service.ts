// The engine's face to edgecore and to people on the node: what it knows of its Pods.
import type { ServedService } from '@skerry/common/grpc/server';
import {
  type ContainerSummary,
  type EngineServiceServer,
  EngineServiceService,
  type PodSummary,
} from '@skerry/gen/skerry/edge/v1/engine';
import type { ContainerStatus, PodStatus } from './pod/types.js';
import type { PodRef } from './runtime/runtime.js';

export interface KnownPod {
  readonly ref: PodRef;
  /** Undefined for one that is only being removed. */
  readonly status: PodStatus | undefined;
}

export function engineService(pods: () => readonly KnownPod[]): ServedService {
  const implementation: EngineServiceServer = {
    listPods: (_call, done) => done(null, { pods: pods().map(summary) }),
  };
  return { definition: EngineServiceService, implementation };
}

function summary({ ref, status }: KnownPod): PodSummary {
  const { uid, namespace, name } = ref;
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return { uid, namespace, name, phase: status?.phase ?? 'Unknown', containers: containers.map(containerSummary) };
}

function containerSummary({ name, state, restartCount, containerID }: ContainerStatus): ContainerSummary {
  const restarts = restartCount;
  const id = containerID ?? '';
  if (state?.running) return { name, state: 'running', reason: '', restarts, id };
  if (state?.terminated) return { name, state: 'terminated', reason: state.terminated.reason ?? '', restarts, id };
  return { name, state: 'waiting', reason: state?.waiting?.reason ?? '', restarts, id };
}
