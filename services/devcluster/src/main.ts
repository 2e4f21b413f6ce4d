// The devcluster process: flags in, an embedded cluster out. The kubeconfig file appears (by rename) when it serves.
import { systemClock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import { createLifecycle } from '@skerry/common/lifecycle';
import { parseFlags, processLogger, requireFlag, runMain } from '@skerry/common/process';
import { readTokenFile } from './auth/tokens.js';
import { createDevcluster } from './devcluster.js';

const FLAGS = {
  state: { type: 'string' },
  listen: { type: 'string', default: '127.0.0.1:0' },
  kubeconfig: { type: 'string' },
  token: { type: 'string' },
  'token-file': { type: 'string' },
  'node-grace-period': { type: 'string', default: '50s' },
  'log-level': { type: 'string', default: 'info' },
} as const;

const STOP_TIMEOUT_MS = 8_000;

function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new SkerryError('invalid_argument', `--listen "${text}" is not HOST:PORT`);
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port };
}

function parseDuration(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const units: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
  const unit = units[match?.[2] ?? ''];
  if (match === null || unit === undefined) {
    throw new SkerryError('invalid_argument', `--${flag} "${text}" is no duration such as 50s or 2m`);
  }
  return Number(match[1]) * unit;
}

await runMain(async (argv) => {
  const flags = parseFlags(argv, FLAGS);
  const logger = processLogger('devcluster', flags['log-level']);
  const { host, port } = parseListen(flags.listen);
  const devcluster = createDevcluster({
    stateDir: requireFlag(flags.state, 'state', 'a folder for the cluster’s state'),
    host,
    port,
    nodeGracePeriodMs: parseDuration(flags['node-grace-period'], 'node-grace-period'),
    tokens: flags['token-file'] === undefined ? [] : await readTokenFile(flags['token-file']),
    logger,
    ...(flags.kubeconfig === undefined ? {} : { kubeconfigPath: flags.kubeconfig }),
    ...(flags.token === undefined ? {} : { token: flags.token }),
  });
  const app = createLifecycle({
    components: [devcluster],
    stopTimeoutMs: STOP_TIMEOUT_MS,
    clock: systemClock(),
    logger,
  });
  return { app, logger };
});
