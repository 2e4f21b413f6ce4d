import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { RenewRequest } from '@skerry/gen/skerry/cloud/v1/cloud';
import { createAuthorityMaterial, issueWithNewKey, openAuthority } from './authority.js';
import {
  caSha256,
  credentialOf,
  formatJoinToken,
  newJoinToken,
  parseCredential,
  parseJoinToken,
  secretHashOf,
  secretMatches,
} from './join-token.js';
import { checkNodeName, controllerSubject, hubSubject, identityOfSubject, isNodeName, nodeSubject } from './names.js';
import { checkProof, enrolProofInput, renewProofInput, signProof } from './proof.js';
import { decodeRelayedRenewal, encodeRelayedRenewal } from './relay.js';

const NOW = Date.UTC(2026, 0, 1);
const DAY = 86_400_000;

describe('names', () => {
  test('a subject is read as it was written, and nothing else is anybody', () => {
    const read = ({ commonName, organization }: { commonName: string; organization: string }) =>
      identityOfSubject(commonName, [organization]);
    expect(read(nodeSubject('edge-1'))).toEqual({ kind: 'node', node: 'edge-1' });
    expect(read(controllerSubject('edgecontroller'))).toEqual({ kind: 'controller', name: 'edgecontroller' });
    expect(read(hubSubject())).toBeUndefined();
    expect(identityOfSubject('system:node:edge-1', ['skerry:controllers'])).toBeUndefined();
    expect(identityOfSubject('system:node:edge-1', ['system:nodes', 'skerry:controllers'])).toBeUndefined();
    expect(identityOfSubject('system:node:', ['system:nodes'])).toBeUndefined();
    expect(identityOfSubject('system:node:a/b', ['system:nodes'])).toBeUndefined();
    expect(identityOfSubject('somebody', ['skerry:controllers'])).toBeUndefined();
  });

  test('node names follow RFC 1123', () => {
    for (const good of ['a', 'edge-1', 'ip-10-0-0-1.eu.internal', 'x'.repeat(63)]) expect(isNodeName(good)).toBe(true);
    for (const bad of ['', 'A', '-a', 'a-', 'a..b', 'a_b', 'a/b', 'ä', 'a\n', 'x'.repeat(64)])
      expect(isNodeName(bad)).toBe(false);
    expect(() => checkNodeName('Edge')).toThrow('"Edge" is no node name');
  });
});

describe('join tokens', () => {
  test('survive text, and pin the CA', async () => {
    const { certPem } = await createAuthorityMaterial(NOW);
    const token = newJoinToken(certPem);
    expect(parseJoinToken(` ${formatJoinToken(token)}\n`)).toEqual(token);
    expect(parseCredential(credentialOf(token))).toEqual({ id: token.id, secret: token.secret });
    expect(token.caSha256).toBe(new X509Certificate(certPem).fingerprint256.replaceAll(':', '').toLowerCase());
  });

  test('a malformed one is refused without being repeated', () => {
    expect(() => parseJoinToken('sk1.abc.hunter2')).toThrow('malformed');
    expect(() => parseJoinToken('sk1.abc.hunter2')).not.toThrow('hunter2');
    expect(parseCredential('../x.y')).toBeUndefined();
    expect(() => caSha256('no certificate')).toThrow('cannot be parsed');
  });

  test('secrets are compared by hash', () => {
    const hash = secretHashOf('s3cret');
    expect(secretMatches('s3cret', hash)).toBe(true);
    expect(secretMatches('s3creT', hash)).toBe(false);
    expect(secretMatches('s3cret', 'zz')).toBe(false);
    expect(secretMatches('s3cret', '')).toBe(false);
  });
});

describe('proofs', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const der = publicKey.export({ type: 'spki', format: 'der' });

  test('hold for the key, node, token and purpose that they were made for', () => {
    const proof = signProof(enrolProofInput('edge-1', 'id.secret', der), privateKey);
    checkProof(der, enrolProofInput('edge-1', 'id.secret', der), proof);
    for (const other of [
      enrolProofInput('edge-2', 'id.secret', der),
      enrolProofInput('edge-1', 'id.other', der),
      renewProofInput('edge-1', der),
    ])
      expect(() => checkProof(der, other, proof)).toThrow('does not fit');
  });

  test('only P-256 keys are taken', () => {
    const p384 = generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).publicKey.export({
      type: 'spki',
      format: 'der',
    });
    for (const bad of [p384, Buffer.alloc(0), Buffer.alloc(100), Buffer.alloc(10_000)])
      expect(() => checkProof(bad, Buffer.alloc(1), Buffer.alloc(70))).toThrow('not a P-256 key');
  });
});

describe('relayed renewals', () => {
  test('keep the node apart from the request', () => {
    const request = RenewRequest.create({ publicKey: Buffer.from([1]), proof: Buffer.from([2, 3]) });
    expect(decodeRelayedRenewal(encodeRelayedRenewal({ node: 'edge-1', request }))).toEqual({
      node: 'edge-1',
      request,
    });
    expect(() => decodeRelayedRenewal(Buffer.from('nonsense'))).toThrow('cannot be decoded');
    expect(() => decodeRelayedRenewal(Buffer.from('{"node":1}'))).toThrow('lacks node');
  });
});

describe('authority', () => {
  test('issues certificates that chain to it', async () => {
    const material = await createAuthorityMaterial(NOW);
    const authority = await openAuthority(material);
    const ca = new X509Certificate(material.certPem);
    expect(ca.ca).toBe(true);
    expect(ca.verify(ca.publicKey)).toBe(true);

    const issued = await issueWithNewKey(authority, {
      subject: hubSubject(),
      usage: 'server',
      serverNames: ['localhost', '127.0.0.1'],
      nowMs: NOW,
      ttlMs: 90 * DAY,
    });
    const leaf = new X509Certificate(issued.certPem);
    expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.ca).toBe(false);
    expect(leaf.checkHost('localhost')).toBe('localhost');
    expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(Date.parse(leaf.validTo)).toBe(NOW + 90 * DAY);
  });

  test('certifies a key that it never sees, and never past its own end', async () => {
    const authority = await openAuthority(await createAuthorityMaterial(NOW, 10 * DAY));
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const der = publicKey.export({ type: 'spki', format: 'der' });
    const leaf = new X509Certificate(
      await authority.issue({
        subject: nodeSubject('x'.repeat(63)),
        usage: 'client',
        publicKey: der,
        nowMs: NOW,
        ttlMs: 365 * DAY,
      }),
    );
    expect(leaf.publicKey.equals(createPublicKey({ key: der, format: 'der', type: 'spki' }))).toBe(true);
    expect(leaf.subject).toBe(`O=system:nodes\nCN=system:node:${'x'.repeat(63)}`);
    expect(Date.parse(leaf.validTo)).toBe(NOW + 10 * DAY);
  });

  test('a key of another CA is refused', async () => {
    const [one, other] = [await createAuthorityMaterial(NOW), await createAuthorityMaterial(NOW)];
    await expect(openAuthority({ certPem: one.certPem, keyPem: other.keyPem })).rejects.toThrow('cannot be used');
  });
});
