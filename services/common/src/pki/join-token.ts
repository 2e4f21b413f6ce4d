// The text of a join token: sk1.<SHA-256 of the CA certificate, hex>.<id>.<secret>. The hash pins the CA before anything is trusted.
// Invariant: only the hash of a secret is kept in the cluster; the text itself exists where it was made and where it is used.
import { createHash, randomBytes, timingSafeEqual, X509Certificate } from 'node:crypto';
import { SkerryError } from '../errors.js';

export interface JoinToken {
  /** SHA-256 of the CA certificate's DER, lower-case hex. */
  readonly caSha256: string;
  readonly id: string;
  readonly secret: string;
}

/** 10 digits of base 36 name the Secret; 26 of them, from 128 random bits and more, cannot be guessed. */
const ID_LENGTH = 10;
const SECRET_LENGTH = 26;
const TOKEN = /^sk1\.([0-9a-f]{64})\.([a-z0-9]{10})\.([a-z0-9]{26})$/;
const CREDENTIAL = /^([a-z0-9]{10})\.([a-z0-9]{26})$/;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** A fresh token for a CA. `random` gives that many random bytes. */
export function newJoinToken(caCertPem: string, random: (bytes: number) => Buffer = randomBytes): JoinToken {
  return {
    caSha256: caSha256(caCertPem),
    id: randomText(ID_LENGTH, random),
    secret: randomText(SECRET_LENGTH, random),
  };
}

export function formatJoinToken(token: JoinToken): string {
  return `sk1.${token.caSha256}.${credentialOf(token)}`;
}

/** Throws `invalid_argument`; the message never repeats the text, which is a secret. */
export function parseJoinToken(text: string): JoinToken {
  const [, caSha256 = '', id = '', secret = ''] = TOKEN.exec(text.trim()) ?? [];
  if (id === '')
    throw new SkerryError(
      'invalid_argument',
      'the join token is malformed: want sk1.<64 hex digits>.<10 characters>.<26 characters>; make one with "skerry token create"',
    );
  return { caSha256, id, secret };
}

/** What EnrollRequest.token carries: <id>.<secret>. */
export function credentialOf(token: Pick<JoinToken, 'id' | 'secret'>): string {
  return `${token.id}.${token.secret}`;
}

/** The opposite of `credentialOf`; undefined for anything else. */
export function parseCredential(text: string): Pick<JoinToken, 'id' | 'secret'> | undefined {
  const [, id = '', secret = ''] = CREDENTIAL.exec(text) ?? [];
  return id === '' ? undefined : { id, secret };
}

/** What the cluster keeps of a secret: SHA-256, lower-case hex. */
export function secretHashOf(secret: string): string {
  return createHash('sha256').update(secret, 'utf8').digest('hex');
}

/** Compares in constant time. False for a hash that is not 64 hex digits. */
export function secretMatches(secret: string, hash: string): boolean {
  const want = Buffer.from(hash, 'hex');
  const have = Buffer.from(secretHashOf(secret), 'hex');
  return want.length === have.length && timingSafeEqual(want, have);
}

/** SHA-256 of a certificate's DER, lower-case hex. Throws `invalid_argument` when the PEM is no certificate. */
export function caSha256(certificatePem: string): string {
  try {
    return createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('hex');
  } catch (error) {
    throw new SkerryError('invalid_argument', 'the CA certificate cannot be parsed: want one in PEM', { cause: error });
  }
}

/** Uniform over the alphabet: bytes past the last whole multiple of its length are drawn again. */
function randomText(length: number, random: (bytes: number) => Buffer): string {
  const limit = 256 - (256 % ALPHABET.length);
  let text = '';
  while (text.length < length) {
    for (const byte of random(length)) {
      if (byte < limit && text.length < length) text += ALPHABET[byte % ALPHABET.length] ?? '';
    }
  }
  return text;
}
