// The Events of a Pod, in the words that people know from the kubelet.

import type { StopReason } from '../plan/steps.js';
import type { ContainerDef, Pod, Verdict, Waiting } from '../pod/types.js';
import type { EventRecorder, EventType } from '../report/events.js';
import type { ContainerKind, PodRef } from '../runtime/runtime.js';

export interface PodEvents {
  created(container: string): void;
  started(container: string): void;
  stopping(container: string, why: StopReason): void;
  /** A container could not be created or started. */
  failed(container: string, message: string): void;
  pullFailed(container: string, image: string, message: string): void;
  waiting(container: ContainerDef, waiting: Waiting): void;
  mountFailed(message: string): void;
  sandboxFailed(message: string): void;
  badEnvNames(container: string, names: readonly string[]): void;
  judged(verdict: Verdict): void;
}

/** `pod` is what is known of the Pod now; an orphan has only its reference. */
export function createPodEvents(recorder: EventRecorder, ref: PodRef, pod: () => Pod | undefined): PodEvents {
  const kindOf = (name: string): ContainerKind =>
    pod()?.spec.initContainers?.some((container) => container.name === name) ? 'init' : 'main';
  const record = (type: EventType, reason: string, message: string, container?: string): void => {
    const about = container === undefined ? {} : { container: { name: container, kind: kindOf(container) } };
    recorder.record({ pod: ref, type, reason, message, ...about });
  };

  return {
    created: (container) => record('Normal', 'Created', `Created container: ${container}`, container),
    started: (container) => record('Normal', 'Started', `Started container ${container}`, container),
    stopping(container, why) {
      const message =
        why === 'changed'
          ? `Container ${container} definition changed, will be restarted`
          : `Stopping container ${container}`;
      record('Normal', 'Killing', message, container);
    },
    failed: (container, message) => record('Warning', 'Failed', `Error: ${message}`, container),
    pullFailed(container, image, message) {
      record('Warning', 'Failed', `Failed to pull image "${image}": ${message}`, container);
      record('Warning', 'Failed', 'Error: ErrImagePull', container);
    },
    waiting({ name, image }, { reason, message = '' }) {
      if (reason === 'CrashLoopBackOff') {
        const who = `${ref.name}_${ref.namespace}(${ref.uid})`;
        record('Warning', 'BackOff', `Back-off restarting failed container ${name} in pod ${who}`, name);
      } else if (reason === 'ImagePullBackOff') record('Normal', 'BackOff', `Back-off pulling image "${image}"`, name);
      else if (reason === 'CreateContainerConfigError') record('Warning', 'Failed', `Error: ${message}`, name);
    },
    mountFailed: (message) => record('Warning', 'FailedMount', message),
    sandboxFailed: (message) => record('Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${message}`),
    badEnvNames: (container, names) =>
      record(
        'Warning',
        'InvalidEnvironmentVariableNames',
        `Keys [${names.join(', ')}] from envFrom were skipped since they cannot be names of variables`,
        container,
      ),
    judged: ({ reason, message }) => record('Warning', reason, message),
  };
}
