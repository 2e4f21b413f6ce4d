import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { createJoinToken, decodeSecretData, readCaCertificate, SYSTEM_NAMESPACE } from '@skerry/common/kube/join-token';
import { KubeError } from '@skerry/common/kube/kube-error';
import { NODES, type Secret } from '@skerry/common/kube/resources';
import { nullLogger } from '@skerry/common/logger';
import { credentialOf, parseJoinToken } from '@skerry/common/pki/join-token';
import { enrolProofInput, renewProofInput, signProof } from '@skerry/common/pki/proof';
import { encodeRelayedRenewal } from '@skerry/common/pki/relay';
import { type FakeClock, fakeClock } from '@skerry/common/testing/fake-clock';
import { EnrollRequest, EnrollResponse, RenewResponse } from '@skerry/gen/skerry/cloud/v1/cloud';
import { createPki, type Pki } from './pki.js';
import { type MemoryKube, memoryKube } from './testing/memory-kube.js';

const DAY = 86_400_000;
let kube: MemoryKube;
let clock: FakeClock;
let pki: Pki;

const newPki = (serverNames = ['localhost', '127.0.0.1']): Pki =>
  createPki({ kube, clock, logger: nullLogger(), serverNames, nodeCertificateTtlMs: 365 * DAY, random: () => 0.5 });
const secret = (name: string): Record<string, string | undefined> =>
  decodeSecretData(kube.objects.get(`secrets/${SYSTEM_NAMESPACE}/${name}`) as Secret);

function newKey() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return { privateKey, der: publicKey.export({ type: 'spki', format: 'der' }) };
}

async function newToken(node?: string): Promise<string> {
  const text = await createJoinToken({
    kube,
    caCertPem: await readCaCertificate(kube),
    ttlMs: 3_600_000,
    clock,
    ...(node !== undefined && { node }),
  });
  return credentialOf(parseJoinToken(text));
}

function enrolPayload(node: string, token: string, key = newKey()): Uint8Array {
  const proof = signProof(enrolProofInput(node, token, key.der), key.privateKey);
  return EnrollRequest.encode({ node, token, publicKey: key.der, proof }).finish();
}

const enrol = async (node: string, token: string, key = newKey()): Promise<X509Certificate> =>
  new X509Certificate(
    EnrollResponse.decode(await pki.serve('enroll', enrolPayload(node, token, key))).certificateChain,
  );

beforeEach(async () => {
  kube = memoryKube();
  clock = fakeClock(Date.UTC(2026, 0, 1));
  pki = newPki();
  await pki.ensure();
});

describe('the CA and the services’ certificates', () => {
  test('a second replica finds everything as the first one left it', async () => {
    const before = structuredClone([...kube.objects]);
    const other = newPki();
    const material = await other.ensure();
    expect([...kube.objects]).toEqual(before);
    expect(material.caPem).toBe(pki.material().caPem);
  });

  test('two replicas that start at once agree on one CA', async () => {
    kube = memoryKube();
    const [one, two] = [newPki(), newPki()];
    const materials = await Promise.all([one.ensure(), two.ensure()]);
    expect(materials[0].caPem).toBe(materials[1].caPem);
    expect(secret('cloudhub-tls')['ca.crt']).toBe(materials[0].caPem);
  });

  test('the hub gets its names, and the CA within its chain', () => {
    const { 'tls.crt': chain = '', 'ca.crt': ca = '' } = secret('cloudhub-tls');
    expect(chain.endsWith(ca)).toBe(true);
    const leaf = new X509Certificate(chain);
    expect(leaf.subjectAltName).toBe('DNS:cloudhub, DNS:localhost, IP Address:127.0.0.1');
    expect(new X509Certificate(secret('devicecontroller-tls')['tls.crt'] ?? '').subject).toBe(
      'O=skerry:controllers\nCN=devicecontroller',
    );
  });

  test('what was deleted or changed is made again', async () => {
    kube.objects.delete(`secrets/${SYSTEM_NAMESPACE}/cloudhub-tls`);
    await newPki(['hub.example']).ensure();
    expect(new X509Certificate(secret('cloudhub-tls')['tls.crt'] ?? '').subjectAltName).toBe(
      'DNS:cloudhub, DNS:hub.example',
    );
  });

  test('certificates are renewed at two thirds of their life', async () => {
    const before = secret('cloudhub-tls')['tls.crt'];
    const own = pki.material().certPem;
    await clock.advance(59 * DAY);
    await pki.ensure();
    expect(secret('cloudhub-tls')['tls.crt']).toBe(before);
    expect(pki.material().certPem).toBe(own);
    await clock.advance(2 * DAY);
    await pki.ensure();
    expect(secret('cloudhub-tls')['tls.crt']).not.toBe(before);
    expect(pki.material().certPem).not.toBe(own);
  });

  test('passes go on after one that failed, and end with stop', async () => {
    await pki.start();
    let failures = 0;
    kube.before = () => {
      failures += 1;
      throw new KubeError('unavailable', 'down', { httpStatus: 0 });
    };
    await clock.advance(600_000);
    expect(failures).toBe(1);
    const verbs: string[] = [];
    kube.before = (verb) => verbs.push(verb);
    await clock.advance(600_000);
    expect(verbs.at(-1)).toBe('list');
    await pki.stop(AbortSignal.timeout(1_000));
    expect(clock.pending()).toBe(0);
  });

  test('an unusable CA Secret is complained about, never replaced', async () => {
    const path = `secrets/${SYSTEM_NAMESPACE}/skerry-ca`;
    const broken: Secret = { ...kube.objects.get(path), data: {} };
    kube.objects.set(path, broken);
    await expect(newPki().ensure()).rejects.toMatchObject({ code: 'failed_precondition' });
    expect(kube.objects.get(path)).toEqual(broken);
  });
});

describe('enrolment', () => {
  test('a token buys one certificate for the node that asks', async () => {
    const certificate = await enrol('edge-1', await newToken());
    expect(certificate.subject).toBe('O=system:nodes\nCN=system:node:edge-1');
    expect(certificate.verify(new X509Certificate(pki.material().caPem).publicKey)).toBe(true);
    expect(Date.parse(certificate.validTo) - clock.nowMs()).toBe(365 * DAY);
  });

  test('a retry with the same key is answered again, another key or node is not', async () => {
    const [token, key] = [await newToken(), newKey()];
    await enrol('edge-1', token, key);
    await kube.create(NODES, { metadata: { name: 'edge-1' } });
    await enrol('edge-1', token, key);
    await expect(enrol('edge-1', token)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(enrol('edge-2', token, key)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('two machines that use one token at once: one of them gets a certificate', async () => {
    const token = await newToken();
    const outcomes = await Promise.allSettled([enrol('edge-1', token), enrol('edge-2', token)]);
    expect(outcomes.map((o) => o.status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test('a node that exists is not taken over by an unbound token', async () => {
    await kube.create(NODES, { metadata: { name: 'worker-1' } });
    const token = await newToken();
    await expect(enrol('worker-1', token)).rejects.toMatchObject({ code: 'already_exists' });
    await enrol('worker-1', await newToken('worker-1'));
    await kube.delete(NODES, { name: 'worker-1' });
    await enrol('worker-1', token);
  });

  test('a bound token is of no use to another node', async () => {
    await expect(enrol('edge-2', await newToken('edge-1'))).rejects.toMatchObject({ code: 'permission_denied' });
  });

  test('an expired token is refused, then removed', async () => {
    await pki.start();
    const token = await newToken();
    await clock.advance(3_599_999);
    await enrol('edge-1', token);
    await clock.advance(1);
    await expect(enrol('edge-1', token)).rejects.toMatchObject({ code: 'unauthenticated' });
    await clock.advance(1_200_000);
    expect([...kube.objects.keys()].filter((path) => path.includes('join-token'))).toEqual([]);
    await pki.stop(AbortSignal.timeout(1_000));
  });

  test('a stolen request is of no use with another key', async () => {
    const token = await newToken();
    const stolen = EnrollRequest.decode(enrolPayload('edge-1', token));
    const forged = EnrollRequest.encode({ ...stolen, publicKey: newKey().der }).finish();
    await expect(pki.enroll(forged)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('bad requests are named', async () => {
    await expect(enrol('Edge_1', await newToken())).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(enrol('edge-1', 'x.y')).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(enrol('edge-1', 'aaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbb')).rejects.toThrow('unknown');
    await expect(pki.serve('enroll', Buffer.from([255]))).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(pki.serve('other', Buffer.alloc(0))).rejects.toMatchObject({ code: 'unsupported' });
  });

  test('trouble with the Kubernetes API is no verdict about the token', async () => {
    const token = await newToken();
    kube.before = (verb) => {
      if (verb === 'get') throw new KubeError('unauthenticated', 'token expired', { httpStatus: 401 });
    };
    await expect(enrol('edge-1', token)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('renewal', () => {
  const renewPayload = (node: string, signedFor = node): Uint8Array => {
    const key = newKey();
    const proof = signProof(renewProofInput(signedFor, key.der), key.privateKey);
    return encodeRelayedRenewal({ node, request: { publicKey: key.der, proof } });
  };

  test('gives the authenticated node a certificate for a key that it holds', async () => {
    const answer = RenewResponse.decode(await pki.serve('renew', renewPayload('edge-1')));
    expect(new X509Certificate(answer.certificateChain).subject).toBe('O=system:nodes\nCN=system:node:edge-1');
    expect(answer.caCertificates).toBe(pki.material().caPem);
  });

  test('a proof made for another node is refused', async () => {
    await expect(pki.renew(renewPayload('edge-1', 'edge-2'))).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});
