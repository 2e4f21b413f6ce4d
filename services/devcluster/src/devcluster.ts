// The embedded cluster as one component: storage, API server and controllers, wired together.
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Clock, systemClock } from '@skerry/common/clock';
import { systemCode } from '@skerry/common/errors';
import { type Component, createLifecycle, type Lifecycle } from '@skerry/common/lifecycle';
import { type Logger, nullLogger } from '@skerry/common/logger';
import type { KubeObject } from './api/objects.js';
import { createServingCertificate, writePrivate } from './auth/certificates.js';
import { renderKubeconfig } from './auth/kubeconfig.js';
import { createTokenSigner, ISSUER, isAlive, type TokenSigner, userOf } from './auth/service-account-tokens.js';
import { createAuthenticator, type Token } from './auth/tokens.js';
import { bootstrap } from './bootstrap.js';
import { createControllers } from './controllers.js';
import { createResourceHandler } from './http/resources.js';
import { type ApiServer, createApiServer } from './http/server.js';
import { createSubresourceHandler } from './http/subresources.js';
import { createWatchHub } from './http/watch.js';
import { renderMetrics } from './metrics.js';
import { createOpenApi } from './openapi/documents.js';
import { createOperations } from './operations/operations.js';
import { builtinTypes } from './registry/builtin.js';
import { createRegistry } from './registry/registry.js';
import type { HistoryLimits } from './storage/history.js';
import { openStore, type Store } from './storage/store.js';

export interface DevclusterOptions {
  /** Made when it is missing. Everything that outlives the process is in it. */
  readonly stateDir: string;
  /** Address to listen on; default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Where to write the kubeconfig; default `kubeconfig` in the state folder. */
  readonly kubeconfigPath?: string;
  /** The administrator's bearer token; default: made once and kept in the state folder. */
  readonly token?: string;
  /** More tokens that are taken. */
  readonly tokens?: readonly Token[];
  /** How long a node may be silent before it is not ready any more; default 50 s, as upstream. */
  readonly nodeGracePeriodMs?: number;
  /** How long an Event is kept; default 1 h. */
  readonly eventTtlMs?: number;
  /** Changes kept for watches, for each resource. */
  readonly history?: HistoryLimits;
  /** Journal bytes after which the state is written anew; default 16 MiB. */
  readonly compactAtBytes?: number;
  /** Bytes of objects past which no more are created; default 1 GiB. */
  readonly maxStateBytes?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface Devcluster extends Component {
  readonly kubeconfigPath: string;
  /** `https://host:port`. Only after `start`. */
  readonly url: string;
  /** PEM. Only after `start`. */
  readonly caCertificate: string;
  /** The administrator's bearer token. Only after `start`. */
  readonly token: string;
}

const DEFAULT_HISTORY: HistoryLimits = { maxChanges: 10_000, maxBytes: 32 * 1024 * 1024 };
const COMPACT_AT_BYTES = 16 * 1024 * 1024;
const MAX_STATE_BYTES = 1024 * 1024 * 1024;
const MAX_WAITING_WRITES = 10_000;
const STOP_TIMEOUT_MS = 5_000;
const NODE_GRACE_MS = 50_000;
const EVENT_TTL_MS = 3_600_000;

interface Running {
  readonly lifecycle: Lifecycle;
  readonly url: string;
  readonly caCertificate: string;
  readonly token: string;
}

/**
 * An embedded Kubernetes API server with a scheduler and node lifecycle. The kubeconfig file appears when it serves.
 * `start` throws when the folder is in use or damaged, or the address is taken.
 */
export function createDevcluster(options: DevclusterOptions): Devcluster {
  const kubeconfigPath = options.kubeconfigPath ?? join(options.stateDir, 'kubeconfig');
  let running: Running | undefined;

  function started(): Running {
    if (running === undefined) throw new Error('devcluster is not started');
    return running;
  }

  return {
    name: 'devcluster',
    kubeconfigPath,
    get url() {
      return started().url;
    },
    get caCertificate() {
      return started().caCertificate;
    },
    get token() {
      return started().token;
    },
    start: async () => {
      running = await startAll(options, kubeconfigPath);
    },
    stop: async () => {
      await running?.lifecycle.stop();
      running = undefined;
    },
  };
}

async function startAll(options: DevclusterOptions, kubeconfigPath: string): Promise<Running> {
  const { stateDir, clock = systemClock(), logger = nullLogger() } = options;
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  // Its appearance is the sign that the cluster serves.
  await rm(kubeconfigPath, { force: true });
  const store = await openStore({
    dir: join(stateDir, 'data'),
    logger,
    history: options.history ?? DEFAULT_HISTORY,
    compactAtBytes: options.compactAtBytes ?? COMPACT_AT_BYTES,
    maxStateBytes: options.maxStateBytes ?? MAX_STATE_BYTES,
    maxWaiting: MAX_WAITING_WRITES,
  });
  try {
    const token = options.token ?? (await keptToken(join(stateDir, 'token')));
    const { lifecycle, server, caPem } = await assemble(options, store, token, clock, logger);
    await lifecycle.start();
    const url = server.url();
    await mkdir(dirname(kubeconfigPath), { recursive: true });
    await writePrivate(kubeconfigPath, renderKubeconfig({ url, caPem, token }));
    logger.info('serving', { url, kubeconfig: kubeconfigPath, revision: store.revision() });
    return { lifecycle, url, caCertificate: caPem, token };
  } catch (error) {
    await store.close();
    throw error;
  }
}

interface Assembly {
  readonly lifecycle: Lifecycle;
  readonly server: ApiServer;
  readonly caPem: string;
}

async function assemble(
  options: DevclusterOptions,
  store: Store,
  token: string,
  clock: Clock,
  logger: Logger,
): Promise<Assembly> {
  const { stateDir, host = '127.0.0.1', port = 0 } = options;
  const newUid = randomUUID;
  const certificate = await createServingCertificate(stateDir, [host], clock.nowMs());
  const signer = await createTokenSigner(join(stateDir, 'service-account.key'));
  const registry = createRegistry(builtinTypes(certificate.caPem), store);
  store.onCommit(registry.onCommit);
  const operations = createOperations({ store, registry, clock, newUid, random: (below) => randomInt(below) });
  await bootstrap(operations, registry);
  const watches = createWatchHub(store, registry, clock);
  const subresources = createSubresourceHandler({ store, operations, signer, clock, newUid });
  const server = createApiServer({
    host,
    port,
    certificate,
    authenticator: createAuthenticator([{ token, user: 'admin' }, ...(options.tokens ?? [])], (text) =>
      serviceAccountOf(text, signer, store, clock),
    ),
    registry,
    openApi: createOpenApi(registry),
    resources: createResourceHandler({ store, operations, watches, subresources, clock }),
    watches,
    healthy: store.healthy,
    metrics: () => renderMetrics(store, watches),
    logger,
  });
  const storage: Component = { name: 'storage', start: async () => {}, stop: () => store.close() };
  const nodeGracePeriodMs = options.nodeGracePeriodMs ?? NODE_GRACE_MS;
  const eventTtlMs = options.eventTtlMs ?? EVENT_TTL_MS;
  const controllers = createControllers({ store, registry, clock, logger, newUid, nodeGracePeriodMs, eventTtlMs });
  const components = [storage, server, ...controllers];
  const lifecycle = createLifecycle({ components, stopTimeoutMs: STOP_TIMEOUT_MS, clock, logger });
  return { lifecycle, server, caPem: certificate.caPem };
}

/** The account that a token of ours speaks for, while it and what the token is bound to exist. */
function serviceAccountOf(token: string, signer: TokenSigner, store: Store, clock: Clock): string | undefined {
  const claims = signer.read(token, clock.nowMs() / 1000);
  if (claims === undefined || !claims.audiences.includes(ISSUER)) return undefined;
  const find = (collection: string, namespace: string, name: string): KubeObject | undefined =>
    store.get({ collection, namespace, name })?.object;
  return isAlive(claims, find) ? userOf(claims) : undefined;
}

/** The token of an earlier start, or a new one. */
async function keptToken(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
  const token = randomBytes(24).toString('base64url');
  await writePrivate(path, `${token}\n`);
  return token;
}
