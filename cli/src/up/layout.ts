// Where things are: the programs that `skerry up` starts, the manifests it applies and the folders of one instance.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SkerryError } from '@skerry/common/errors';

const root = join(import.meta.dirname, '../../..');

export const manifests = {
  crds: join(root, 'k8s/crds'),
  quickstart: join(root, 'k8s/examples/quickstart'),
};

/** Marks a running instance, so that set-up does not pull the code from under it. */
export const instanceFile = join(root, '.setup/instance.pid');

/** Path of a built program; throws `failed_precondition` when it was not built. */
export function program(
  name: 'devcluster' | 'cloudhub' | 'edgecontroller' | 'devicecontroller' | 'edgecore' | 'thermostat',
): string {
  const path =
    name === 'thermostat'
      ? join(root, 'cli/dist/thermostat-main.js')
      : name === 'edgecore'
        ? join(root, 'services/edgecore/dist/bundle/edgecore.mjs')
        : join(root, `services/${name}/dist/main.js`);
  if (!existsSync(path)) throw new SkerryError('failed_precondition', `${path} is missing: run "npm run build"`);
  return path;
}

export interface Layout {
  readonly dir: string;
  readonly kubeconfig: string;
  readonly logs: string;
  readonly cluster: string;
  readonly hubTls: string;
  readonly deviceControllerTls: string;
  readonly edge: string;
  readonly edgeSocket: string;
  readonly engineSocket: string;
}

export function layoutOf(dir: string): Layout {
  return {
    dir,
    kubeconfig: join(dir, 'kubeconfig'),
    logs: join(dir, 'logs'),
    cluster: join(dir, 'cluster'),
    hubTls: join(dir, 'tls/cloudhub'),
    deviceControllerTls: join(dir, 'tls/devicecontroller'),
    edge: join(dir, 'edge-1'),
    edgeSocket: join(dir, 'edge-1/run/edgecore.sock'),
    engineSocket: join(dir, 'edge-1/run/engine.sock'),
  };
}
