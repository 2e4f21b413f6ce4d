// A devcluster and a client of it, for tests: JSON in, JSON out.
import { join } from 'node:path';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { Pool } from 'undici';
import type { JsonObject, KubeObject } from '../api/objects.js';
import { createDevcluster, type Devcluster, type DevclusterOptions } from '../devcluster.js';

export interface Answer {
  readonly code: number;
  readonly body: KubeObject & { items: KubeObject[] };
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface WatchEvent {
  readonly type: string;
  readonly object: KubeObject;
}

export interface ApiClient {
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(path: string): Promise<Answer>;
  post(path: string, body: unknown): Promise<Answer>;
  put(path: string, body: unknown): Promise<Answer>;
  /** `kind`: json, merge or strategic-merge. */
  patch(path: string, kind: string, body: unknown): Promise<Answer>;
  delete(path: string, body?: unknown): Promise<Answer>;
  /** Reads watch events until `enough` says so or the server ends the stream. */
  watch(
    path: string,
    enough: (events: readonly WatchEvent[]) => boolean,
    onOpen?: () => Promise<void>,
  ): Promise<WatchEvent[]>;
  /** Asks again until `good` holds; fails after some seconds. */
  until(path: string, good: (answer: Answer) => boolean): Promise<Answer>;
  close(): Promise<void>;
}

export function createApiClient(cluster: Pick<Devcluster, 'url' | 'caCertificate' | 'token'>): ApiClient {
  const pool = new Pool(cluster.url, { connections: 32, connect: { ca: cluster.caCertificate } });

  async function call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await pool.request({
      method: method as 'GET',
      path,
      headers: { authorization: `Bearer ${cluster.token}`, 'content-type': 'application/json', ...headers },
      body: body === undefined || typeof body === 'string' ? (body ?? null) : JSON.stringify(body),
    });
    const text = await response.body.text();
    const isJson = String(response.headers['content-type']).includes('json');
    return { code: response.statusCode, body: isJson ? JSON.parse(text) : {}, text, headers: response.headers };
  }

  async function watch(
    path: string,
    enough: (events: readonly WatchEvent[]) => boolean,
    onOpen: () => Promise<void> = async () => {},
  ): Promise<WatchEvent[]> {
    const abort = new AbortController();
    const events: WatchEvent[] = [];
    const { body } = await pool.request({
      method: 'GET',
      path,
      headers: { authorization: `Bearer ${cluster.token}` },
      signal: abort.signal,
    });
    await onOpen();
    let rest = '';
    try {
      for await (const chunk of body) {
        rest += String(chunk);
        const lines = rest.split('\n');
        rest = lines.pop() ?? '';
        events.push(...lines.map((line) => JSON.parse(line) as WatchEvent));
        if (enough(events)) break;
      }
    } finally {
      abort.abort();
    }
    return events;
  }

  async function until(path: string, good: (answer: Answer) => boolean): Promise<Answer> {
    let answer = await call('GET', path);
    for (let tries = 0; tries < 400 && !good(answer); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 25));
      answer = await call('GET', path);
    }
    if (!good(answer)) throw new Error(`${path} never became as expected: ${answer.text}`);
    return answer;
  }

  return {
    call,
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body),
    put: (path, body) => call('PUT', path, body),
    patch: (path, kind, body) => call('PATCH', path, body, { 'content-type': `application/${kind}-patch+json` }),
    delete: (path, body) => call('DELETE', path, body),
    watch,
    until,
    close: () => pool.close(),
  };
}

/** Runs `fn` with a devcluster in a folder of its own. */
export async function withDevcluster(
  options: Omit<DevclusterOptions, 'stateDir'>,
  fn: (client: ApiClient, cluster: Devcluster) => Promise<void>,
): Promise<void> {
  await withTempDir(async (dir) => {
    const cluster = createDevcluster({ stateDir: join(dir, 'state'), ...options });
    await cluster.start();
    const client = createApiClient(cluster);
    try {
      await fn(client, cluster);
    } finally {
      await client.close();
      await cluster.stop(new AbortController().signal);
    }
  });
}

export function podManifest(name: string, spec: JsonObject = {}): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [{ name: 'c', image: 'busybox:1' }], ...spec },
  };
}

export function nodeManifest(name: string, more: JsonObject = {}): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name } },
    status: {
      capacity: { cpu: '2', memory: '2Gi', pods: '10' },
      allocatable: { cpu: '2', memory: '2Gi', pods: '10' },
      conditions: [
        { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: '2024-01-01T00:00:00Z' },
      ],
    },
    ...more,
  };
}
