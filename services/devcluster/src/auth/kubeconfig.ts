// The kubeconfig that clients are given: address, CA and token.
import { stringify } from 'yaml';

export interface KubeconfigFacts {
  readonly url: string;
  readonly caPem: string;
  readonly token: string;
}

export function renderKubeconfig({ url, caPem, token }: KubeconfigFacts): string {
  const name = 'devcluster';
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url, 'certificate-authority-data': Buffer.from(caPem).toString('base64') } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}
