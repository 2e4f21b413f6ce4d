// The cloudhub process: flags in, app out. Only this file reads the command line.
import { performance } from 'node:perf_hooks';
import { systemClock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import { connectKube } from '@skerry/common/kube/client';
import { kubeConfigSource, loadKubeConnection } from '@skerry/common/kube/config';
import { type Component, createLifecycle } from '@skerry/common/lifecycle';
import { parseFlags, processLogger, requireFlag, runMain } from '@skerry/common/process';
import { createCloudhub } from './app.js';

const STOP_TIMEOUT_MS = 10_000;

await runMain(async (argv) => {
  const flags = parseFlags(argv, {
    listen: { type: 'string', default: '0.0.0.0:10000' },
    'tls-dir': { type: 'string' },
    kubeconfig: { type: 'string' },
    instance: { type: 'string' },
    'log-level': { type: 'string', default: 'info' },
  });
  const logger = processLogger('cloudhub', flags['log-level']);
  const clock = systemClock();
  const connection = await loadKubeConnection(kubeConfigSource(flags.kubeconfig), clock);
  const kube = connectKube({ connection, clock, random: Math.random, userAgent: 'skerry-cloudhub' });
  const transport: Component = { name: 'kube', start: async () => {}, stop: () => kube.transport.close() };
  const hub = await createCloudhub({
    ...parseListen(flags.listen),
    tlsDir: requireFlag(flags['tls-dir'], 'tls-dir', 'the folder of tls.crt, tls.key and ca.crt'),
    instance: requireFlag(flags.instance, 'instance', 'a name that no other replica has, for example the Pod name'),
    kube: kube.client,
    clock,
    random: Math.random,
    utilization: loopUtilization(),
    logger,
  });
  const components = [transport, ...hub.components];
  return { app: createLifecycle({ components, stopTimeoutMs: STOP_TIMEOUT_MS, clock, logger }), logger };
});

/** `host:port`, `[::1]:port`. */
function parseListen(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(text) ?? [];
  if (host === '' || Number(port) > 65_535)
    throw new SkerryError('invalid_argument', `--listen "${text}" is not host:port, for example 0.0.0.0:10000`);
  return { host, port: Number(port) };
}

function loopUtilization(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
