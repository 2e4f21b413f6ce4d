// The HTTPS face: every request is authenticated, routed, and answered once; whatever goes wrong becomes a Status.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { systemCode } from '@skerry/common/errors';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import type { JsonObject } from '../api/objects.js';
import { ApiError, badRequest, forbidden, isApiError } from '../api/status.js';
import type { ServingCertificate } from '../auth/certificates.js';
import type { Authenticator, User } from '../auth/tokens.js';
import type { OpenApi } from '../openapi/documents.js';
import type { Registry } from '../registry/registry.js';
import { discover, versionInfo } from './discovery.js';
import { parseResourcePath, type ResourcePath } from './request-info.js';
import { pageNotFound, type ResourceHandler } from './resources.js';
import { send, sendError, sendText } from './respond.js';
import type { WatchHub } from './watch.js';

export interface ApiServerOptions {
  readonly host: string;
  readonly port: number;
  readonly certificate: ServingCertificate;
  readonly authenticator: Authenticator;
  readonly registry: Registry;
  readonly openApi: OpenApi;
  readonly resources: ResourceHandler;
  readonly watches: WatchHub;
  /** False when nothing can be written any more. */
  readonly healthy: () => boolean;
  /** Prometheus text. */
  readonly metrics: () => string;
  readonly logger: Logger;
}

export interface ApiServer extends Component {
  /** `https://host:port`, once started. */
  url(): string;
}

const HEALTH: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz']);
const PATHS = ['/api', '/apis', '/healthz', '/livez', '/metrics', '/openapi/v3', '/readyz', '/version'];
const KEEP_ALIVE_MS = 75_000;
/** As Go's servers take: long selectors are part of the URL. */
const MAX_HEADER_BYTES = 1024 * 1024;
/** Connections at once; more are refused. */
const MAX_CONNECTIONS = 10_000;

export function createApiServer(options: ApiServerOptions): ApiServer {
  const { host, port, certificate, authenticator, registry, openApi, resources, watches, logger } = options;
  const server = createServer({
    cert: certificate.certPem,
    key: certificate.keyPem,
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2',
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  server.maxConnections = MAX_CONNECTIONS;
  let stopping = false;
  const sockets = new Set<Socket>();
  let address = '';

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = parseUrl(request.url ?? '/');
    const path = url.pathname;
    if (HEALTH.has(path.replace(/^(\/\w+)(\/ping)?\/?$/, '$1'))) {
      sendText(
        response,
        options.healthy() ? 200 : 500,
        options.healthy() ? 'ok' : 'the state folder can not be written',
      );
      return;
    }
    const user = authenticator.authenticate(request.headers.authorization);
    const target = parseResourcePath(path);
    if (target !== undefined) {
      const type = registry.find(target.group, target.version, target.plural);
      if (type === undefined || (target.namespace !== '' && !type.namespaced)) throw pageNotFound();
      if (!user.admin) throw refusal(user, request.method ?? 'GET', target);
      await resources({ request, response, type, path: target, query: url.searchParams });
      return;
    }
    request.resume();
    if (request.method !== 'GET') throw pageNotFound();
    answerDocument(path, response);
  }

  function answerDocument(path: string, response: ServerResponse): void {
    if (path === '/metrics') {
      sendText(response, 200, options.metrics());
      return;
    }
    const found = documentAt(path);
    if (found === undefined) throw pageNotFound();
    send(response, 200, found);
  }

  function documentAt(path: string): JsonObject | string | undefined {
    if (path === '/') return { paths: PATHS };
    if (path === '/version') return versionInfo();
    if (path.startsWith('/openapi/v3')) return openApi.document(path);
    return discover(registry, path, address.replace('https://', ''));
  }

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    if (stopping) {
      // A client that goes on using its kept connections would hold the stop up for ever.
      request.socket.destroy();
      return;
    }
    const startedMs = performance.now();
    answer(request, response)
      .catch((error: unknown) => {
        // The client has gone: there is nobody to answer.
        if (response.destroyed) return;
        // The rest of a body that was refused is not read: the connection can not be used again.
        if (!request.complete) response.setHeader('connection', 'close');
        if (isApiError(error) && error.httpCode === 404 && error.reason === '')
          sendText(response, 404, `${error.message}\n`);
        else sendError(response, error, logger);
        if (!isApiError(error))
          logger.debug('unexpected', { error: error instanceof Error ? error.stack : String(error) });
      })
      .finally(() => {
        const ms = Math.round(performance.now() - startedMs);
        logger.debug('request', { method: request.method, url: request.url, code: response.statusCode, ms });
      });
    response.on('close', () => {
      if (stopping) server.closeIdleConnections();
    });
  }

  server.on('request', onRequest);
  server.on('clientError', (error, socket) => {
    if (socket.writable) socket.end(malformed(systemCode(error) === 'HPE_HEADER_OVERFLOW'));
  });
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  });
  server.on('tlsClientError', (error, socket) => {
    logger.debug('TLS handshake failed', { error });
    socket.destroy();
  });

  return {
    name: 'api-server',
    url: () => address,
    start: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.off('error', reject);
          const bound = server.address() as AddressInfo;
          address = `https://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
          resolve();
        });
      }),
    stop: (deadline) =>
      new Promise((resolve) => {
        const giveUp = (): void => {
          for (const socket of sockets) socket.destroy();
        };
        server.close(() => {
          deadline.removeEventListener('abort', giveUp);
          resolve();
        });
        stopping = true;
        watches.close();
        server.closeIdleConnections();
        deadline.addEventListener('abort', giveUp, { once: true });
        if (deadline.aborted) giveUp();
      }),
  };
}

/** Throws 400; a path that begins with two slashes is no host name. */
function parseUrl(text: string): URL {
  const url = `https://localhost${text}`;
  if (!text.startsWith('/') || !URL.canParse(url)) throw badRequest(`the URL ${JSON.stringify(text)} is malformed`);
  return new URL(url);
}

/** A service account has no rights: nobody could have given it a role. */
function refusal(user: User, method: string, { group, plural, namespace, name }: ResourcePath): ApiError {
  const scope = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const why = `User "${user.name}" cannot ${method.toLowerCase()} resource "${plural}" in API group "${group}" ${scope}`;
  return forbidden({ group, resource: plural }, name, why);
}

/** The answer to what is no HTTP request, or one whose URL and headers are too long. */
function malformed(tooLong: boolean): string {
  const [code, title] = tooLong ? [431, 'Request Header Fields Too Large'] : [400, 'Bad Request'];
  const message = tooLong
    ? `the URL and the headers are longer than ${MAX_HEADER_BYTES} bytes`
    : 'malformed HTTP request';
  const body = JSON.stringify(new ApiError(code, 'BadRequest', message).toStatus());
  const headers = `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close`;
  return `HTTP/1.1 ${code} ${title}\r\n${headers}\r\n\r\n${body}`;
}
