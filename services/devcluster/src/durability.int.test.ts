// What a kill -9 leaves behind: everything that was answered, nothing twice, and revisions that never go back.
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { nullLogger } from '@skerry/common/logger';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { parse } from 'yaml';
import { createDevcluster } from './devcluster.js';
import { openStore, type Store } from './storage/store.js';
import { type ApiClient, createApiClient } from './testing/api-client.js';

const CONFIGS = '/api/v1/namespaces/default/configmaps';
const MAIN = join(import.meta.dirname, '../dist/main.js');
const LIBRARY = join(import.meta.dirname, '../dist/devcluster.js');

interface Server {
  readonly api: ApiClient;
  kill(signal: NodeJS.Signals): Promise<number | null>;
}

/** `compactAtBytes`: small, so that snapshots are written all the time; by default the process as it ships is started. */
async function startServer(dir: string, compactAtBytes?: number): Promise<Server> {
  const kubeconfig = join(dir, 'kubeconfig');
  await rm(kubeconfig, { force: true });
  const state = join(dir, 'state');
  const options = JSON.stringify({ stateDir: state, kubeconfigPath: kubeconfig, compactAtBytes });
  const script = `import { createDevcluster } from ${JSON.stringify(LIBRARY)}; await createDevcluster(${options}).start();`;
  const args =
    compactAtBytes === undefined
      ? [MAIN, '--state', state, '--kubeconfig', kubeconfig]
      : ['--input-type=module', '--eval', script];
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr?.on('data', (chunk) => {
    log += String(chunk);
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  for (let tries = 0; tries < 400; tries++) {
    const text = await readFile(kubeconfig, 'utf8').catch(() => undefined);
    if (text !== undefined) {
      const { clusters, users } = parse(text) as {
        clusters: [{ cluster: Record<string, string> }];
        users: [{ user: { token: string } }];
      };
      const { server: url = '', 'certificate-authority-data': ca = '' } = clusters[0].cluster;
      const api = createApiClient({
        url,
        caCertificate: Buffer.from(ca, 'base64').toString(),
        token: users[0].user.token,
      });
      return {
        api,
        kill: async (signal) => {
          child.kill(signal);
          const code = await exited;
          await api.close();
          return code;
        },
      };
    }
    if (child.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  child.kill('SIGKILL');
  throw new Error(`devcluster did not start: ${log}`);
}

test.each([
  ['the journal', undefined],
  ['snapshots', 20_000],
])('kill -9 in the middle of writing %s loses no answered write', async (_what, compactAtBytes) => {
  await withTempDir(async (dir) => {
    const answered = new Map<string, string>();
    let highest = 0;
    for (let round = 0; round < 3; round++) {
      const server = await startServer(dir, compactAtBytes);
      const listed = await server.api.get(CONFIGS);
      const stored = new Map(listed.body.items.map((item) => [item.metadata.name, item.metadata.resourceVersion]));
      for (const [name, revision] of answered) expect([name, stored.get(name)]).toEqual([name, revision]);
      expect(Number(listed.body.metadata.resourceVersion)).toBeGreaterThanOrEqual(highest);
      let alive = true;
      const writers = Array.from({ length: 8 }, async (_, writer) => {
        for (let index = 0; alive && index < 1_000; index++) {
          const name = `r${round}-w${writer}-${index}`;
          const answer = await server.api.post(CONFIGS, { metadata: { name } }).catch(() => undefined);
          if (answer?.code !== 201) return;
          answered.set(name, answer.body.metadata.resourceVersion ?? '');
          highest = Math.max(highest, Number(answer.body.metadata.resourceVersion));
        }
      });
      await server.api.until(CONFIGS, ({ body }) => body.items.length > 60 * (round + 1));
      await server.kill('SIGKILL');
      alive = false;
      await Promise.all(writers);
    }
    expect(answered.size).toBeGreaterThan(100);
  });
});

test('SIGTERM stops cleanly, also with an open watch, and a second process is kept out', async () => {
  await withTempDir(async (dir) => {
    const server = await startServer(dir);
    let opened = (): void => {};
    const open = new Promise<void>((resolve) => {
      opened = resolve;
    });
    const watch = server.api.watch(
      `${CONFIGS}?watch=1`,
      () => false,
      async () => opened(),
    );
    await open;
    const options = {
      dir: join(dir, 'state', 'data'),
      logger: nullLogger(),
      history: { maxChanges: 10, maxBytes: 1_000 },
      compactAtBytes: 1_000,
      maxStateBytes: 1_000_000,
      maxWaiting: 10,
    };
    await expect(openStore(options)).rejects.toThrow('in use by another devcluster');
    const events = watch.then((found) => found.length);
    expect(await server.kill('SIGTERM')).toBe(0);
    expect(await events).toBeGreaterThan(0);
  });
});

async function withStore(dir: string, fn: (store: Store) => Promise<void>, compactAtBytes = 1_000_000): Promise<void> {
  const store = await openStore({
    dir,
    logger: nullLogger(),
    history: { maxChanges: 1_000, maxBytes: 1_000_000 },
    compactAtBytes,
    maxStateBytes: 1_000_000,
    maxWaiting: 1_000,
  });
  try {
    await fn(store);
  } finally {
    await store.close();
  }
}

const key = (name: string) => ({ collection: 'things', namespace: '', name });
const put = (store: Store, name: string, n = 0) => store.transact((tx) => tx.put(key(name), { metadata: { name }, n }));

test('compaction keeps everything, and history goes on over a restart', async () => {
  await withTempDir(async (dir) => {
    let last = 0;
    await withStore(
      dir,
      async (store) => {
        for (let index = 0; index < 200; index++) last = (await put(store, `t${index % 20}`, index)).revision;
        await store.transact((tx) => tx.remove(key('t0')));
      },
      2_000,
    );
    expect((await readdir(dir)).filter((name) => name.startsWith('snapshot'))).toHaveLength(1);
    await withStore(dir, async (store) => {
      expect(store.revision()).toBe(last + 1);
      expect(store.list('things')).toHaveLength(19);
      expect(store.get(key('t19'))?.object).toMatchObject({ n: 199 });
      expect(store.history('things').positionAfter(last)).toBeDefined();
    });
  });
});

test('a torn tail is cut off; damage before it is an error that names the file', async () => {
  await withTempDir(async (dir) => {
    await withStore(dir, async (store) => {
      await put(store, 'a');
      await put(store, 'b');
    });
    const file = join(dir, 'journal-00000001.log');
    await appendFile(file, Buffer.from([9, 0, 0, 0, 1, 2]));
    await withStore(dir, async (store) => {
      expect(store.list('things').map((stored) => stored.key.name)).toEqual(['a', 'b']);
      await put(store, 'c');
    });
    const good = await readFile(file);
    await truncate(file, good.length - 3);
    await withStore(dir, async (store) =>
      expect(store.list('things').map((stored) => stored.key.name)).toEqual(['a', 'b']),
    );
    const damaged = Buffer.from(good);
    damaged[20] = (damaged[20] ?? 0) ^ 1;
    await writeFile(file, damaged);
    await expect(withStore(dir, async () => {})).rejects.toThrow(`${file} is damaged at byte 0`);
  });
});

test('a transaction is kept whole or not at all', async () => {
  await withTempDir(async (dir) => {
    await withStore(dir, async (store) => {
      const failing = store.transact((tx) => {
        tx.put(key('half'), { metadata: { name: 'half' } });
        throw new Error('changed my mind');
      });
      await expect(failing).rejects.toThrow('changed my mind');
      const results = await Promise.allSettled(Array.from({ length: 1_100 }, (_, index) => put(store, `n${index}`)));
      expect(results.some((result) => result.status === 'rejected')).toBe(true);
      expect(store.stats().rejected).toBeGreaterThan(0);
    });
    await withStore(dir, async (store) => expect(store.get(key('half'))).toBeUndefined());
  });
});

test('CA and token outlive a restart; a taken port is told and leaves the folder free', async () => {
  await withTempDir(async (dir) => {
    const stop = new AbortController().signal;
    const first = createDevcluster({ stateDir: dir });
    await first.start();
    const { caCertificate, token, url } = first;
    const outside = await mkdtemp(join(tmpdir(), 'sk-'));
    const taken = createDevcluster({ stateDir: outside, port: Number(new URL(url).port) });
    await expect(taken.start()).rejects.toThrow('EADDRINUSE');
    await expect(taken.start()).rejects.toThrow('EADDRINUSE');
    await rm(outside, { recursive: true });
    await first.stop(stop);
    const second = createDevcluster({ stateDir: dir });
    await second.start();
    expect({ caCertificate: second.caCertificate, token: second.token }).toEqual({ caCertificate, token });
    await second.stop(stop);
  });
});
