// Where the API server is and who we are: kubeconfig files, the in-cluster service account and exec plugins, all through
// @kubernetes/client-node, which is loaded here and nowhere else (it is heavy; other files take its types only).
// Invariant: credentials in use are read again at least every 30 s and after a 401, so rotated tokens and certificates are taken up.
import type { KubeConfig } from '@kubernetes/client-node';
import type { Clock } from '../clock.js';
import { messageOf, SkerryError } from '../errors.js';

/** PEM text of what TLS needs; `undefined` fields leave Node's defaults. */
export interface KubeTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface KubeCredentials {
  /** Headers of every request: Authorization, Impersonate-User. Never to be logged. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: KubeTls;
}

/** What the transport needs to know; tests may give one of their own making. */
export interface KubeConnection {
  /** `https://host:port`, perhaps with a path prefix, without a slash at the end. */
  readonly server: string;
  /** The namespace of the current context or of the service account; `default` when none is set. */
  readonly namespace: string;
  /** Current credentials, cached for up to 30 s; `refresh` asks anew, e.g. after a 401. */
  credentials(options?: { readonly refresh?: boolean }): Promise<KubeCredentials>;
}

export type KubeConfigSource =
  | { readonly kind: 'file'; readonly path: string; readonly context?: string }
  | { readonly kind: 'in-cluster' };

/** client-node keeps a token file for a minute itself: together, a rotated token is in use after 90 s at most. */
const CACHE_MS = 30_000;

/** What a `--kubeconfig` flag means: a file, or the Pod's service account when it is not given. */
export function kubeConfigSource(path: string | undefined): KubeConfigSource {
  return path === undefined || path === '' ? { kind: 'in-cluster' } : { kind: 'file', path };
}

/**
 * Reads the configuration. Throws `invalid_argument` when it is missing or unusable (the message names the file), `unsupported`
 * for a proxy-url or a server without TLS.
 */
export async function loadKubeConnection(source: KubeConfigSource, clock: Clock): Promise<KubeConnection> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    if (source.kind === 'in-cluster') config.loadFromCluster();
    else config.loadFromFile(source.path);
  } catch (error) {
    throw new SkerryError('invalid_argument', `${describe(source)} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (source.kind === 'file' && source.context !== undefined) config.setCurrentContext(source.context);
  const server = serverOf(config, source);
  const context = config.getContextObject(config.getCurrentContext());
  return {
    server,
    namespace: context?.namespace?.trim() || 'default',
    credentials: cachedCredentials(() => readCredentials(config, source), clock),
  };
}

function describe(source: KubeConfigSource): string {
  return source.kind === 'file' ? `kubeconfig ${source.path}` : 'the in-cluster service account';
}

function serverOf(config: KubeConfig, source: KubeConfigSource): string {
  const cluster = config.getCurrentCluster();
  const url = cluster && URL.canParse(cluster.server) ? new URL(cluster.server) : undefined;
  if (!cluster || !url) {
    const advice =
      source.kind === 'file'
        ? `has no usable cluster for context "${config.getCurrentContext()}": check current-context and clusters[].cluster.server`
        : 'is not there (KUBERNETES_SERVICE_HOST is not set): give --kubeconfig FILE outside a cluster';
    throw new SkerryError('invalid_argument', `${describe(source)} ${advice}`);
  }
  if (url.protocol !== 'https:')
    throw new SkerryError('unsupported', `${describe(source)}: ${cluster.server} has no TLS; give an https server`);
  if (cluster.proxyUrl !== undefined)
    throw new SkerryError(
      'unsupported',
      `${describe(source)}: proxy-url is not supported; remove it or route without it`,
    );
  return cluster.server.replace(/\/+$/, '');
}

async function readCredentials(config: KubeConfig, source: KubeConfigSource): Promise<KubeCredentials> {
  // The parts of https.RequestOptions that client-node fills in.
  const options: {
    headers: Record<string, string>;
    auth?: string;
    ca?: Buffer;
    cert?: Buffer | string;
    key?: Buffer | string;
    servername?: string;
    rejectUnauthorized?: boolean;
  } = { headers: {} };
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    throw new SkerryError('unauthenticated', `${describe(source)}: no credentials: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (options.auth !== undefined)
    options.headers['Authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  return {
    headers: Object.fromEntries(Object.entries(options.headers).map(([name, value]) => [name, value.trim()])),
    tls: {
      ...(options.ca && { ca: options.ca.toString() }),
      ...(options.cert && { cert: options.cert.toString() }),
      ...(options.key && { key: options.key.toString() }),
      ...(options.servername !== undefined && { servername: options.servername }),
      ...(options.rejectUnauthorized !== undefined && { rejectUnauthorized: options.rejectUnauthorized }),
    },
  };
}

/** Callers that come while a read is under way share it; a failed read is not remembered. */
function cachedCredentials(read: () => Promise<KubeCredentials>, clock: Clock): KubeConnection['credentials'] {
  let cached: { readonly value: KubeCredentials; readonly atMs: number } | undefined;
  let reading: Promise<KubeCredentials> | undefined;

  async function readOnce(): Promise<KubeCredentials> {
    try {
      const value = await read();
      cached = { value, atMs: clock.monotonicMs() };
      return value;
    } finally {
      reading = undefined;
    }
  }

  return (options) => {
    const fresh = cached !== undefined && clock.monotonicMs() - cached.atMs < CACHE_MS;
    if (cached && fresh && options?.refresh !== true) return Promise.resolve(cached.value);
    reading ??= readOnce();
    return reading;
  };
}
