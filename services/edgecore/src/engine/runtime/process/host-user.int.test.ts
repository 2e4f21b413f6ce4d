// Workloads under another user. Only root can become another user: the tests that need it are skipped, visibly, for anybody else.
import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { writeAtomicDir } from '../../volume/atomic-dir.js';
import { resolveUser } from './host-user.js';
import { createProcessRuntime } from './process-runtime.js';

const ROOT = { uid: 0, gid: 0 };
const UMASK = process.umask();
const asRoot = process.getuid?.() === 0 ? test : test.skip;
const POD = { uid: 'u1', namespace: 'default', name: 'web' };
const LABELS = {
  pod: POD,
  container: 'app',
  kind: 'main',
  attempt: 0,
  sandboxAttempt: 0,
  specHash: '',
  backoffMs: 0,
} as const;

describe('the workloads’ user', () => {
  afterEach(() => void process.umask(UMASK));

  test('by name or by numbers', async () => {
    expect(await resolveUser('root', ROOT)).toEqual(ROOT);
    expect(await resolveUser('1000:100', ROOT)).toEqual({ uid: 1000, gid: 100 });
  });

  test('one that is not there, or not to be had, is an error', async () => {
    await expect(resolveUser('no-such-user', ROOT)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(resolveUser('', ROOT)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(resolveUser('0:0', { uid: 1000, gid: 1000 })).rejects.toMatchObject({ code: 'permission_denied' });
  });

  asRoot('has to be able to pass through the folders above', () =>
    withTempDir(async (dir) => {
      const runtime = await createProcessRuntime({ dir: join(dir, 'p'), user: '65534:65534', clock: systemClock() });
      await expect(runtime.start()).rejects.toThrow(`user 65534, who cannot enter ${dir}`);
    }),
  );

  asRoot(
    'runs the command, owns its root folder, reads its Secrets, and nothing of the runtime’s, under any umask',
    () =>
      withTempDir(async (dir) => {
        await chmod(dir, 0o711);
        process.umask(0o077);
        const user = { uid: 65534, gid: 65534 };
        const runtime = await createProcessRuntime({ dir: join(dir, 'p'), user: '65534:65534', clock: systemClock() });
        await runtime.start();
        const secret = join(dir, 'secret');
        await writeAtomicDir(secret, [{ path: 'key', data: Buffer.from('k3y'), mode: 0o400 }], user);
        await runtime.ensureSandbox({ pod: POD, annotations: {}, hostNetwork: true, graceMs: 0 });
        const source = `const fs = require('fs'); const root = process.env.SKERRY_ROOT; fs.writeFileSync('mine', 'x');
        const able = (path) => { try { fs.readFileSync(path); return true; } catch { return false; } };
        console.log(process.getuid(), process.getgid(), process.getgroups(), fs.readFileSync(root + '/s/key', 'utf8'),
          able(root + '/../0/container.json'))`;
        const id = await runtime.createContainer({
          labels: LABELS,
          image: '',
          command: ['node', '-e', source],
          args: [],
          env: runtime.environment('u1', 'app'),
          mounts: [{ hostPath: secret, containerPath: '/s', readOnly: true }],
          workingDir: '/work',
        });
        const ended = new Promise<void>((resolve) => runtime.subscribe(() => resolve()));
        await runtime.startContainer(id);
        await ended;
        const [container] = (await runtime.inspect('u1'))?.containers ?? [];
        expect(await readFile(container?.logPath ?? '', 'utf8')).toBe('65534 65534 [ 65534 ] k3y false\n');
        expect(container?.state).toMatchObject({ exit: { exitCode: 0 } });
        await runtime.stop();
      }),
  );
});
