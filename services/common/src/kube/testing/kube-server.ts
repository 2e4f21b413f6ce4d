// An API server for one resource over real HTTPS that misbehaves on demand: each fault applies to the next request of its kind.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { createAuthorityMaterial, issueWithNewKey, openAuthority } from '../../pki/authority.js';
import type { KubeConnection } from '../config.js';
import { type KubeObject, keyOf } from '../object.js';

export type Verb = 'list' | 'watch' | 'other';

export type Fault =
  | { readonly kind: 'status'; readonly code: number; readonly reason?: string; readonly retryAfterSeconds?: number }
  /** No answer at all, the connection stays. */
  | { readonly kind: 'stall' }
  /** The connection is reset. */
  | { readonly kind: 'reset' }
  /** An answer of 200 with this body; a watch ends after it. */
  | { readonly kind: 'body'; readonly text: string };

export interface KubeServer {
  readonly connection: KubeConnection;
  /** What was asked, as `GET /path?query`. */
  readonly requests: string[];
  /** Connections that were ever made. */
  connections(): number;
  openWatches(): number;
  inject(verb: Verb, ...faults: Fault[]): void;
  put(object: KubeObject): void;
  remove(key: string): void;
  /** Forgets the past: watches and continue tokens from before now get a 410. */
  compact(): void;
  /** Ends the watches that are open: properly, by a reset, or in the middle of a line. */
  cutWatches(how: 'end' | 'reset' | 'truncate'): void;
  /** Sends a line of garbage, or an ERROR event, to the watches that are open. */
  sendWatches(line: string): void;
  /** Accepts only this bearer token from now on. */
  requireToken(token: string): void;
  close(): Promise<void>;
}

interface Change {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
}

export async function startKubeServer(credentials: { token: string } = { token: 'first' }): Promise<KubeServer> {
  const nowMs = Date.now();
  const authority = await openAuthority(await createAuthorityMaterial(nowMs));
  const leaf = await issueWithNewKey(authority, {
    subject: { commonName: 'kube', organization: 'test' },
    usage: 'server',
    serverNames: ['127.0.0.1'],
    nowMs,
    ttlMs: 3_600_000,
  });
  const faults: Record<Verb, Fault[]> = { list: [], watch: [], other: [] };
  const requests: string[] = [];
  const objects = new Map<string, KubeObject>();
  const changes: Change[] = [];
  const watches = new Set<ServerResponse>();
  const sockets = new Set<Socket>();
  let version = 100;
  let oldest = version;
  let token = credentials.token;
  let connections = 0;

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'https://host');
    requests.push(`${request.method} ${request.url}`);
    const verb = url.searchParams.has('watch')
      ? 'watch'
      : request.method === 'GET' && url.pathname.endsWith('s')
        ? 'list'
        : 'other';
    const fault = faults[verb].shift();
    if (fault) misbehave(fault, request, response);
    else if (request.headers.authorization !== `Bearer ${token}`) status(response, 401, 'Unauthorized');
    else if (verb === 'watch') watch(url, response);
    else if (verb === 'list') list(url, response);
    else echo(request, response);
  }

  function misbehave(fault: Fault, request: IncomingMessage, response: ServerResponse): void {
    if (fault.kind === 'reset') request.socket.destroy();
    else if (fault.kind === 'body') response.writeHead(200).end(fault.text);
    else if (fault.kind === 'status') status(response, fault.code, fault.reason ?? 'Failure', fault.retryAfterSeconds);
  }

  function status(response: ServerResponse, code: number, reason: string, retryAfter?: number): void {
    response.writeHead(code, retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) });
    response.end(JSON.stringify({ kind: 'Status', code, reason, message: `injected ${reason}` }));
  }

  function list(url: URL, response: ServerResponse): void {
    const [at = String(version), from = '0'] = url.searchParams.get('continue')?.split('.') ?? [];
    if (Number(at) < oldest) {
      status(response, 410, 'Expired');
      return;
    }
    const end = Number(from) + Number(url.searchParams.get('limit') ?? Number.MAX_SAFE_INTEGER);
    const items = [...objects.values()].slice(Number(from), end);
    const more = end < objects.size ? { continue: `${at}.${end}` } : {};
    response.end(JSON.stringify({ kind: 'List', metadata: { resourceVersion: at, ...more }, items }));
  }

  function watch(url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get('resourceVersion'));
    if (from < oldest) {
      status(response, 410, 'Expired');
      return;
    }
    response.writeHead(200);
    response.flushHeaders();
    watches.add(response);
    response.on('close', () => watches.delete(response));
    for (const change of changes) if (change.version > from) response.write(lineOf(change));
  }

  /** Whatever was sent comes back: for tests of what is sent. */
  function echo(request: IncomingMessage, response: ServerResponse): void {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const { method, url, headers } = request;
      const type = headers['content-type'];
      response.end(JSON.stringify({ method, url, type, body: body === '' ? undefined : JSON.parse(body) }));
    });
  }

  function record(type: Change['type'], object: KubeObject): void {
    version += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    if (type === 'DELETED') objects.delete(keyOf(object));
    else objects.set(keyOf(object), stored);
    const change = { version, type, object: stored };
    changes.push(change);
    for (const response of watches) response.write(lineOf(change));
  }

  const server: Server = createServer({ cert: leaf.certPem, key: leaf.keyPem }, answer);
  server.on('secureConnection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    connection: {
      server: `https://127.0.0.1:${port}`,
      namespace: 'default',
      credentials: async () => ({
        headers: { authorization: `Bearer ${credentials.token}` },
        tls: { ca: authority.certPem },
      }),
    },
    requests,
    connections: () => connections,
    openWatches: () => watches.size,
    inject: (verb, ...more) => void faults[verb].push(...more),
    put: (object) => record(objects.has(keyOf(object)) ? 'MODIFIED' : 'ADDED', object),
    remove(key) {
      const found = objects.get(key);
      if (found) record('DELETED', found);
    },
    compact() {
      version += 1;
      oldest = version;
      changes.length = 0;
    },
    cutWatches(how) {
      for (const response of watches) {
        watches.delete(response);
        if (how === 'end') response.end();
        else if (how === 'reset') response.socket?.destroy();
        else response.end('{"type":"ADDED","object":{"metadata":{"name":"half');
      }
    },
    sendWatches(line) {
      for (const response of watches) response.write(line);
    },
    requireToken(wanted) {
      token = wanted;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function lineOf({ type, object }: Change): string {
  return `${JSON.stringify({ type, object })}\n`;
}
