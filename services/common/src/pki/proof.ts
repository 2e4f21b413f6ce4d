// Proofs of possession of a node's key: what is signed, by ECDSA P-256 with SHA-256, in DER. The edge signs, the signer of certificates checks.
// Invariant: the purpose stands first and parts end with a zero byte, so a proof for one purpose or node is none for another.
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { SkerryError } from '../errors.js';

/** What EnrollRequest.proof signs. `publicKey` is SubjectPublicKeyInfo, DER; `token` is <id>.<secret>. */
export function enrolProofInput(node: string, token: string, publicKey: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`skerry-enroll\0${node}\0${token}\0`, 'utf8'), publicKey]);
}

/** What RenewRequest.proof signs. */
export function renewProofInput(node: string, publicKey: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`skerry-renew\0${node}\0`, 'utf8'), publicKey]);
}

export function signProof(input: Uint8Array, privateKey: KeyObject): Buffer {
  return sign('sha256', input, privateKey);
}

/** Longest DER of a P-256 key that is looked at; the usual one has 91 bytes. */
const MAX_PUBLIC_KEY = 256;
const MAX_PROOF = 128;

/**
 * Throws `invalid_argument` when the key is no P-256 key, `unauthenticated` when the proof was not made with it over `input`.
 */
export function checkProof(publicKey: Uint8Array, input: Uint8Array, proof: Uint8Array): void {
  const key = publicKey.length <= MAX_PUBLIC_KEY ? parsePublicKey(publicKey) : undefined;
  if (key?.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new SkerryError('invalid_argument', 'public_key is not a P-256 key: want SubjectPublicKeyInfo in DER');
  if (proof.length > MAX_PROOF || !verify('sha256', input, key, proof))
    throw new SkerryError('unauthenticated', 'the proof of possession does not fit the public key, node and token');
}

function parsePublicKey(der: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
