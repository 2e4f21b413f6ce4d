// The Pod's quality of service class, from requests and limits of cpu and memory.
// Source of the rule: "Pod Quality of Service Classes" in the Kubernetes documentation.
import { type ContainerDef, initContainers, type Pod } from './types.js';

const RESOURCES = ['cpu', 'memory'] as const;

export function qosClassOf(pod: Pod): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const containers = [...initContainers(pod), ...pod.spec.containers];
  if (containers.every((container) => RESOURCES.every((name) => !request(container, name) && !limit(container, name))))
    return 'BestEffort';
  const guaranteed = containers.every((container) =>
    RESOURCES.every(
      (name) =>
        limit(container, name) && (request(container, name) ?? limit(container, name)) === limit(container, name),
    ),
  );
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

const request = (container: ContainerDef, name: string): string | undefined =>
  set(container.resources?.requests?.[name]);
const limit = (container: ContainerDef, name: string): string | undefined => set(container.resources?.limits?.[name]);
/** Zero counts as not set. */
const set = (quantity: string | undefined): string | undefined => (quantity === '0' ? undefined : quantity);
