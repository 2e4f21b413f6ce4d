import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { systemClock } from '../clock.js';
import { fakeClock } from '../testing/fake-clock.js';
import { withTempDir } from '../testing/temp-dir.js';
import { kubeConfigSource, loadKubeConnection } from './config.js';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

function kubeconfig(cluster: object, user: object): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [
      { name: 'here', context: { cluster: 'c', user: 'u', namespace: 'shop' } },
      { name: 'broken', context: { cluster: 'nowhere', user: 'u' } },
    ],
    clusters: [{ name: 'c', cluster: { server: 'https://k8s.example:6443/', ...cluster } }],
    users: [{ name: 'u', user }],
  });
}

async function load(text: string, clock = systemClock(), files: Record<string, string> = {}) {
  return withTempDir(async (dir) => {
    await writeFile(join(dir, 'config'), text);
    for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content);
    const connection = await loadKubeConnection({ kind: 'file', path: join(dir, 'config') }, clock);
    return { connection, credentials: await connection.credentials() };
  });
}

describe('kubeconfig', () => {
  test('certificates, token and namespace are read', async () => {
    const text = kubeconfig(
      { 'certificate-authority-data': base64('CA PEM'), 'tls-server-name': 'kubernetes' },
      { 'client-certificate-data': base64('CERT PEM'), 'client-key-data': base64('KEY PEM'), token: 'secret' },
    );
    const { connection, credentials } = await load(text);
    expect(connection).toMatchObject({ server: 'https://k8s.example:6443', namespace: 'shop' });
    expect(credentials).toEqual({
      headers: { Authorization: 'Bearer secret' },
      tls: { ca: 'CA PEM', cert: 'CERT PEM', key: 'KEY PEM', servername: 'kubernetes' },
    });
  });

  test('files beside it are found; a password becomes basic authentication', async () => {
    const text = kubeconfig({ 'certificate-authority': 'ca.pem' }, { username: 'me', password: 'pw' });
    const { credentials } = await load(text, systemClock(), { 'ca.pem': 'CA FILE' });
    expect(credentials).toEqual({ headers: { Authorization: `Basic ${base64('me:pw')}` }, tls: { ca: 'CA FILE' } });
  });

  test('an exec plugin is run, and its token kept until it expires or is refused', async () => {
    const script = `console.log(JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential',
      status: { token: String(process.pid) } }))`;
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: process.execPath, args: ['-e', script] };
    const clock = fakeClock();
    const { connection, credentials } = await load(kubeconfig({}, { exec }), clock);
    const token = credentials.headers['Authorization'];
    expect(token).toMatch(/^Bearer \d+$/);
    expect((await connection.credentials()).headers['Authorization']).toBe(token);
    expect((await connection.credentials({ refresh: true })).headers['Authorization']).not.toBe(token);
  });

  test('a plugin that fails is an error that says so, and is tried again', async () => {
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: ['-e', 'process.exit(3)'],
    };
    await expect(load(kubeconfig({}, { exec }))).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test.each([
    ['a server without TLS', kubeconfig({ server: 'http://k8s.example' }, {}), 'unsupported', 'has no TLS'],
    ['a proxy', kubeconfig({ 'proxy-url': 'http://proxy' }, {}), 'unsupported', 'proxy-url'],
    ['no such cluster', kubeconfig({}, {}).replace('"here"', '"broken"'), 'invalid_argument', 'context "broken"'],
    ['no kubeconfig at all', 'just text', 'invalid_argument', 'kubeconfig'],
  ])('%s is refused with its name', async (_name, text, code, message) => {
    await expect(load(text)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });

  test('a file that is not there is named', async () => {
    const source = kubeConfigSource('/nonexistent/config');
    await expect(loadKubeConnection(source, systemClock())).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('/nonexistent/config'),
    });
  });

  test('without a flag and outside a cluster, the message tells what to give', async () => {
    await expect(loadKubeConnection(kubeConfigSource(undefined), systemClock())).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('--kubeconfig'),
    });
  });
});
