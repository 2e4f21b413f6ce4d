// Who may call what: the identity in the caller's verified certificate against what each service wants.
// Invariant: a name is taken from the certificate, never from what the caller says.
import { SkerryError } from '@skerry/common/errors';
import { peerIdentity } from '@skerry/common/grpc/tls';
import { type ControllerName, identityOfSubject } from '@skerry/common/pki/names';
import { Controller } from '@skerry/gen/skerry/link/v1/link';
import type { ControllerKind } from './registry.js';

type Caller = Parameters<typeof peerIdentity>[0];

/** The calling node's name. Throws `unauthenticated` without a certificate of our CA, `permission_denied` for one of somebody else. */
export function requireNode(call: Caller): string {
  const { identity, text } = identify(call);
  if (identity?.kind === 'node') return identity.node;
  throw new SkerryError('permission_denied', `${text} is no node: want CN=system:node:<name>, O=system:nodes`);
}

/** The calling controller's kind. Throws like `requireNode`. */
export function requireController(call: Caller): ControllerKind {
  const { identity, text } = identify(call);
  if (identity?.kind === 'controller') return KIND_OF[identity.name];
  throw new SkerryError(
    'permission_denied',
    `${text} is no controller: want CN=edgecontroller or devicecontroller, O=skerry:controllers`,
  );
}

const KIND_OF: Record<ControllerName, ControllerKind> = {
  edgecontroller: Controller.CONTROLLER_KUBE,
  devicecontroller: Controller.CONTROLLER_DEVICE,
};

function identify(call: Caller) {
  const peer = peerIdentity(call);
  if (peer === undefined)
    throw new SkerryError(
      'unauthenticated',
      'a client certificate of the private CA is needed: enrol first, or check ca.crt',
    );
  const text = `the certificate of "${peer.commonName}" (${peer.organizations.join(', ')})`;
  return { identity: identityOfSubject(peer.commonName, peer.organizations), text };
}
