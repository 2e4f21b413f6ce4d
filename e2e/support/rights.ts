// Compares what a service asked of the API with the rights that k8s/rbac gives it.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RequestCount } from '@skerry/common/kube/transport';
import { parseAllDocuments } from 'yaml';

interface Role {
  readonly kind?: string;
  readonly rules?: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
}

/** Requests, as `<verb> <resource>`, that the service's roles do not grant in any namespace. */
export async function ungranted(service: string, requests: readonly RequestCount[]): Promise<string[]> {
  const text = await readFile(join(import.meta.dirname, '../../k8s/rbac', `${service}.yaml`), 'utf8');
  const granted = new Set<string>();
  for (const document of parseAllDocuments(text)) {
    for (const { resources, verbs } of (document.toJS() as Role).rules ?? [])
      for (const resource of resources) for (const verb of verbs) granted.add(`${verb} ${resource}`);
  }
  return requests.map(({ verb, resource }) => `${verb} ${resource}`).filter((request) => !granted.has(request));
}
