// Who is who in certificates: the subjects that the private CA writes and the services read, and which names a node may have.
// Invariant: what `identityOfSubject` reads is what the builders of this file wrote; every other subject is nobody.
import { SkerryError } from '../errors.js';

/** The parts of an X.509 subject that carry identity. */
export interface Subject {
  readonly commonName: string;
  readonly organization: string;
}

export const CONTROLLER_NAMES = ['edgecontroller', 'devicecontroller'] as const;
export type ControllerName = (typeof CONTROLLER_NAMES)[number];

export type Identity =
  | { readonly kind: 'node'; readonly node: string }
  | { readonly kind: 'controller'; readonly name: ControllerName };

const NODE_PREFIX = 'system:node:';
const NODE_ORGANIZATION = 'system:nodes';
const CONTROLLER_ORGANIZATION = 'skerry:controllers';

/** As Kubernetes names a kubelet (Node authorization). */
export const nodeSubject = (node: string): Subject => ({
  commonName: `${NODE_PREFIX}${node}`,
  organization: NODE_ORGANIZATION,
});
export const controllerSubject = (name: ControllerName): Subject => ({
  commonName: name,
  organization: CONTROLLER_ORGANIZATION,
});
export const hubSubject = (): Subject => ({ commonName: 'cloudhub', organization: 'skerry:hubs' });
/** In every hub's certificate, whatever address it is reached under. */
export const HUB_SERVER_NAME = 'cloudhub';

/** Reads a verified subject; undefined when it is neither a node's nor a controller's. */
export function identityOfSubject(commonName: string, organizations: readonly string[]): Identity | undefined {
  // More than one organization would leave it open what the holder may do.
  const [organization] = organizations.length === 1 ? organizations : [];
  if (organization === NODE_ORGANIZATION && commonName.startsWith(NODE_PREFIX)) {
    const node = commonName.slice(NODE_PREFIX.length);
    return isNodeName(node) ? { kind: 'node', node } : undefined;
  }
  if (organization !== CONTROLLER_ORGANIZATION) return undefined;
  const name = CONTROLLER_NAMES.find((known) => known === commonName);
  return name && { kind: 'controller', name };
}

const RFC1123_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** Not RFC 1123's 253: the name becomes the value of the label kubernetes.io/hostname, and those end at 63. */
const MAX_NODE_NAME = 63;

export function isNodeName(name: string): boolean {
  return name.length <= MAX_NODE_NAME && RFC1123_SUBDOMAIN.test(name);
}

/** Throws `invalid_argument` for a name that no Node object could have. */
export function checkNodeName(name: string): void {
  if (isNodeName(name)) return;
  throw new SkerryError(
    'invalid_argument',
    `"${name.slice(0, 100)}" is no node name: want lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit, at most ${MAX_NODE_NAME} characters`,
  );
}
