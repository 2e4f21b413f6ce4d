// How cloudhub hands enrolment to edgecontroller: calls on lane CALL with an empty node.
// Invariant: the node of a renewal is what the hub read from the caller's verified certificate, never what the caller said.
import { RenewRequest } from '@skerry/gen/skerry/cloud/v1/cloud';
import { SkerryError } from '../errors.js';

/** Payload: an encoded EnrollRequest; answer: an encoded EnrollResponse. */
export const ENROLL_METHOD = 'enroll';
/** Payload: `encodeRelayedRenewal`; answer: an encoded RenewResponse. */
export const RENEW_METHOD = 'renew';

export interface RelayedRenewal {
  readonly node: string;
  readonly request: RenewRequest;
}

/** JSON: {"node": "<name>", "request": "<RenewRequest, base64>"}. */
export function encodeRelayedRenewal(renewal: RelayedRenewal): Buffer {
  const request = Buffer.from(RenewRequest.encode(renewal.request).finish()).toString('base64');
  return Buffer.from(JSON.stringify({ node: renewal.node, request }), 'utf8');
}

/** Throws `invalid_argument` for anything else. */
export function decodeRelayedRenewal(payload: Uint8Array): RelayedRenewal {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    if (isWrapper(parsed))
      return { node: parsed.node, request: RenewRequest.decode(Buffer.from(parsed.request, 'base64')) };
  } catch (error) {
    throw new SkerryError('invalid_argument', 'the relayed renewal cannot be decoded', { cause: error });
  }
  throw new SkerryError('invalid_argument', 'the relayed renewal lacks node or request');
}

function isWrapper(value: unknown): value is { node: string; request: string } {
  if (typeof value !== 'object' || value === null || !('node' in value) || !('request' in value)) return false;
  return typeof value.node === 'string' && typeof value.request === 'string';
}
