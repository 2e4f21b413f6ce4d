// Enrolment against a real TLS server with a real CA: what a node accepts, refuses, repeats and renews.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServerUnaryCall, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { createGrpcServer, type GrpcServer } from '@skerry/common/grpc/server';
import { createTlsSource, peerIdentity } from '@skerry/common/grpc/tls';
import { nullLogger } from '@skerry/common/logger';
import { type Authority, createAuthorityMaterial, issueWithNewKey, openAuthority } from '@skerry/common/pki/authority';
import { credentialOf, formatJoinToken, type JoinToken, newJoinToken } from '@skerry/common/pki/join-token';
import { HUB_SERVER_NAME, hubSubject, nodeSubject } from '@skerry/common/pki/names';
import { checkProof, enrolProofInput, renewProofInput } from '@skerry/common/pki/proof';
import { type EnrollRequest, EnrolmentServiceService, type RenewRequest } from '@skerry/gen/skerry/cloud/v1/cloud';
import { createIdentityKeeper, type IdentityKeeper } from './enrolment.js';

const HOUR_MS = 3_600_000;
const NODE = 'edge-1';

interface Hub {
  readonly server: GrpcServer;
  readonly ca: Authority;
  readonly token: JoinToken;
  /** What comes instead of an answer, once. */
  failNext: { code: status; details: string } | undefined;
  /** Whom certificates are issued to instead of the caller. */
  issueTo: string | undefined;
  ttlMs: number;
  readonly seenKeys: string[];
}

async function startHub(serverNames = [HUB_SERVER_NAME], nowMs = Date.now()): Promise<Hub> {
  const material = await createAuthorityMaterial(nowMs);
  const ca = await openAuthority(material);
  const leaf = await issueWithNewKey(ca, {
    ...{ subject: hubSubject(), usage: 'server' as const, serverNames },
    ...{ nowMs, ttlMs: 24 * HOUR_MS },
  });
  const issue = async (node: string, publicKey: Uint8Array) => {
    hub.seenKeys.push(Buffer.from(publicKey).toString('hex'));
    const failure = hub.failNext;
    hub.failNext = undefined;
    if (failure) throw failure;
    const subject = nodeSubject(hub.issueTo ?? node);
    const certificateChain = await ca.issue({
      ...{ subject, usage: 'client' as const, publicKey },
      ...{ nowMs: Date.now(), ttlMs: hub.ttlMs },
    });
    return { certificateChain, caCertificates: ca.certPem };
  };
  type Reply = (error: unknown, value?: unknown) => void;
  const server = createGrpcServer({
    name: 'hub',
    listen: {
      ...{ kind: 'tcp' as const, host: '127.0.0.1', port: 0 },
      credentials: createTlsSource({
        cert: Buffer.from(leaf.certPem + ca.certPem),
        key: Buffer.from(leaf.keyPem),
        ca: Buffer.from(ca.certPem),
      }).serverCredentials(),
    },
    services: [
      {
        definition: EnrolmentServiceService,
        implementation: {
          enroll({ request }: ServerUnaryCall<EnrollRequest, unknown>, reply: Reply) {
            const input = enrolProofInput(request.node, request.token, request.publicKey);
            checkProof(request.publicKey, input, request.proof);
            if (request.token !== credentialOf(hub.token)) {
              reply({ code: status.UNAUTHENTICATED, details: 'unknown token' });
              return;
            }
            issue(request.node, request.publicKey).then((value) => reply(null, value), reply);
          },
          renew(call: ServerUnaryCall<RenewRequest, unknown>, reply: Reply) {
            const node = peerIdentity(call)?.commonName.slice('system:node:'.length) ?? '';
            checkProof(call.request.publicKey, renewProofInput(node, call.request.publicKey), call.request.proof);
            issue(node, call.request.publicKey).then((value) => reply(null, value), reply);
          },
        } as UntypedServiceImplementation,
      },
    ],
    clock: systemClock(),
    logger: nullLogger(),
  });
  const hub: Hub = {
    ...{ server, ca, token: newJoinToken(ca.certPem), failNext: undefined, issueTo: undefined },
    ...{ ttlMs: 24 * HOUR_MS, seenKeys: [] },
  };
  await server.start();
  return hub;
}

let hub: Hub;
let other: Hub;
let dir: string;
beforeAll(async () => {
  [hub, other] = [await startHub(), await startHub(['elsewhere.example'])];
});
afterAll(async () => {
  for (const { server } of [hub, other]) await server.stop(AbortSignal.timeout(5_000));
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sk-'));
  hub.seenKeys.length = 0;
  hub.issueTo = undefined;
  hub.ttlMs = 24 * HOUR_MS;
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function keeper(
  over: { token?: JoinToken | undefined; tokenFile?: string; at?: Hub; nowMs?: () => number; node?: string } = {},
): IdentityKeeper {
  const token = 'token' in over ? over.token : hub.token;
  return createIdentityKeeper({
    node: over.node ?? NODE,
    hub: { host: '127.0.0.1', port: (over.at ?? hub).server.port() },
    token: token && formatJoinToken(token),
    tokenFile: over.tokenFile,
    dir: join(dir, 'pki'),
    clock: { ...systemClock(), ...(over.nowMs ? { nowMs: over.nowMs } : {}) },
    logger: nullLogger(),
  });
}

const fileOf = (name: string): string => join(dir, 'pki', name);

describe('enrolment', () => {
  test('buys a certificate once; afterwards the token is not needed', async () => {
    const identity = await keeper().obtain();
    expect(identity.certificatePem).toContain('BEGIN CERTIFICATE');
    for (const name of ['node.key', 'node.crt', 'ca.crt']) expect((await stat(fileOf(name))).mode & 0o777).toBe(0o600);
    expect(await keeper({ token: undefined }).obtain()).toEqual(identity);
    expect(hub.seenKeys).toHaveLength(1);
  });

  test('without a token and a certificate, says what to do', async () => {
    await expect(keeper({ token: undefined }).obtain()).rejects.toThrow('give --token');
  });

  test('takes the token from a file, which may come late and go when the node has joined', async () => {
    const tokenFile = join(dir, 'join-token');
    const joining = keeper({ token: undefined, tokenFile });
    await expect(joining.obtain()).rejects.toThrow(`write to ${tokenFile}`);
    await writeFile(tokenFile, `${formatJoinToken(hub.token)}\n`);
    const identity = await joining.obtain();
    await rm(tokenFile);
    expect(await joining.obtain()).toEqual(identity);
  });

  test('cut off before the answer was kept, it is repeated with the same key', async () => {
    hub.failNext = { code: status.UNAVAILABLE, details: 'no edgecontroller' };
    await expect(keeper().obtain()).rejects.toMatchObject({ code: 'unavailable' });
    await keeper().obtain();
    // As kill -9 between the two files leaves it.
    await rm(fileOf('node.crt'));
    await keeper().obtain();
    expect(hub.seenKeys).toHaveLength(3);
    expect(new Set(hub.seenKeys).size).toBe(1);
  });

  test('a damaged key is set aside, and the node enrols with a new one', async () => {
    await keeper().obtain();
    await writeFile(fileOf('node.key'), 'garbage');
    await keeper().obtain();
    expect(new Set(hub.seenKeys).size).toBe(2);
  });

  test('refuses a hub under another CA than the pinned one, before it says anything', async () => {
    await expect(keeper({ at: other }).obtain()).rejects.toMatchObject({
      code: 'permission_denied',
      message: expect.stringContaining('does not show the CA'),
    });
    expect(other.seenKeys).toHaveLength(0);
  });

  test('refuses a machine of the same CA that is no hub', async () => {
    await expect(keeper({ at: other, token: other.token }).obtain()).rejects.toThrow('is no cloudhub');
  });

  test('with an ended certificate and no token, says what to do', async () => {
    await keeper().obtain();
    const later = keeper({ token: undefined, nowMs: () => Date.now() + 48 * HOUR_MS });
    await expect(later.obtain()).rejects.toThrow(/ended on .* give --token-file .* a new join token/);
  });

  test('tells a wrong clock from an expired certificate', async () => {
    await expect(keeper({ nowMs: () => 86_400_000 }).obtain()).rejects.toThrow('the clock is wrong');
    await expect(keeper({ nowMs: () => Date.now() + 48 * HOUR_MS }).obtain()).rejects.toThrow('ended on');
    await keeper().obtain();
    await expect(keeper({ token: undefined, nowMs: () => 86_400_000 }).obtain()).rejects.toThrow('the clock is wrong');
  });

  test.each([
    [status.UNAUTHENTICATED, 'unauthenticated', 'skerry token create'],
    [status.ALREADY_EXISTS, 'already_exists', 'under another key'],
  ])('names what the signer refuses (%s)', async (code, errorCode, message) => {
    hub.failNext = { code, details: 'no' };
    await expect(keeper().obtain()).rejects.toMatchObject({
      code: errorCode,
      message: expect.stringContaining(message),
    });
  });

  test('refuses a certificate for another node', async () => {
    hub.issueTo = 'edge-2';
    await expect(keeper().obtain()).rejects.toThrow('CN=system:node:edge-2');
    await expect(stat(fileOf('node.crt'))).rejects.toThrow();
    hub.issueTo = undefined;
    await keeper().obtain();
    await expect(keeper({ node: 'edge-3' }).obtain()).rejects.toThrow('give the right --node');
  });

  test('does not change to another cloud', async () => {
    await keeper().obtain();
    await expect(keeper({ token: other.token }).obtain()).rejects.toThrow('another cloud');
  });

  test('an unreachable hub is unavailable', async () => {
    const nowhere = { ...hub, server: { ...hub.server, port: () => 1 } };
    await expect(keeper({ at: nowhere }).obtain()).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('renewal', () => {
  test('comes at two thirds of the life, over mTLS, with the same key', async () => {
    hub.ttlMs = 3 * HOUR_MS;
    const first = await keeper().obtain();
    expect(await keeper().renewIfDue(Date.now() + HOUR_MS)).toBe(false);
    hub.ttlMs = 24 * HOUR_MS;
    expect(await keeper({ token: undefined }).renewIfDue(Date.now() + 2 * HOUR_MS)).toBe(true);
    const second = await keeper({ token: undefined }).obtain();
    expect(second.notAfterMs).toBeGreaterThan(first.notAfterMs);
    expect(second.keyPem).toBe(first.keyPem);
    const key = createPublicKey(createPrivateKey(await readFile(fileOf('node.key'), 'utf8')));
    expect(hub.seenKeys.at(-1)).toBe(key.export({ type: 'spki', format: 'der' }).toString('hex'));
  });

  test('is nothing before the node has enrolled', async () => {
    expect(await keeper().renewIfDue(Date.now())).toBe(false);
  });
});
