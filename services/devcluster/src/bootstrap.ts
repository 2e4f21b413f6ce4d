// What a cluster has from the start: its namespaces and the two system priority classes.
import { isApiError } from './api/status.js';
import type { Operations } from './operations/operations.js';
import type { Registry } from './registry/registry.js';

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
const PRIORITIES = { 'system-cluster-critical': 2_000_000_000, 'system-node-critical': 2_000_001_000 };

export async function bootstrap(operations: Operations, registry: Registry): Promise<void> {
  const namespaces = registry.find('', 'v1', 'namespaces');
  const priorities = registry.find('scheduling.k8s.io', 'v1', 'priorityclasses');
  if (namespaces === undefined || priorities === undefined) return;
  for (const name of NAMESPACES) {
    await ifMissing(operations.create(namespaces, '', { value: { metadata: { name } }, duplicates: [] }));
  }
  for (const [name, value] of Object.entries(PRIORITIES)) {
    await ifMissing(operations.create(priorities, '', { value: { metadata: { name }, value }, duplicates: [] }));
  }
}

async function ifMissing(creation: Promise<unknown>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (!isApiError(error, 'AlreadyExists')) throw error;
  }
}
