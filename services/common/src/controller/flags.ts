// The flags that the controllers have in common, checked.
import { SkerryError } from '../errors.js';
import { requireFlag } from '../process.js';

/** For `parseFlags`. */
export const CONTROLLER_FLAGS = {
  kubeconfig: { type: 'string' },
  hub: { type: 'string', multiple: true },
  instance: { type: 'string' },
  'health-socket': { type: 'string' },
  'log-level': { type: 'string', default: 'info' },
} as const;

export interface ControllerFlags {
  /** Undefined: the Pod's service account. */
  readonly kubeconfig: string | undefined;
  /** host:port of each hub. */
  readonly hubs: readonly string[];
  readonly instance: string;
  readonly healthSocket: string | undefined;
  readonly logLevel: string;
}

interface Given {
  readonly kubeconfig?: string | undefined;
  readonly hub?: readonly string[] | undefined;
  readonly instance?: string | undefined;
  readonly 'health-socket'?: string | undefined;
  readonly 'log-level': string;
}

/** It becomes part of the names of Leases. */
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const HOST_PORT = /^(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}$/;

/** Throws `invalid_argument` with the flag's name. */
export function controllerFlags(given: Given): ControllerFlags {
  const hubs = given.hub ?? [];
  if (hubs.length === 0)
    throw new SkerryError('invalid_argument', '--hub is missing: give host:port of a cloudhub, once for each replica');
  const wrong = hubs.find((hub) => !HOST_PORT.test(hub));
  if (wrong !== undefined)
    throw new SkerryError('invalid_argument', `--hub "${wrong}" is not host:port, for example cloudhub:10000`);
  const instance = requireFlag(
    given.instance,
    'instance',
    'a name that no other replica has, for example the Pod name',
  );
  if (!DNS_LABEL.test(instance))
    throw new SkerryError(
      'invalid_argument',
      `--instance "${instance}" is no DNS label: want lower-case letters, digits and "-", at most 63 characters`,
    );
  return {
    kubeconfig: given.kubeconfig,
    hubs,
    instance,
    healthSocket: given['health-socket'],
    logLevel: given['log-level'],
  };
}
