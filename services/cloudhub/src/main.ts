// The cloudhub process: flags in, app out.
import { performance } from 'node:perf_hooks';
import { systemClock } from '@skerry/common/clock';
import { connectKube } from '@skerry/common/kube/client';
import { kubeConfigSource, loadKubeConnection } from '@skerry/common/kube/config';
import { type Component, createLifecycle } from '@skerry/common/lifecycle';
import { processLogger, runMain } from '@skerry/common/process';
import { createCloudhub } from './app.js';
import { parseConfig } from './config.js';

const STOP_TIMEOUT_MS = 10_000;

await runMain(async (argv) => {
  const config = parseConfig(argv);
  const logger = processLogger('cloudhub', config.logLevel);
  const clock = systemClock();
  const connection = await loadKubeConnection(kubeConfigSource(config.kubeconfig), clock);
  const kube = connectKube({ connection, clock, random: Math.random, userAgent: 'skerry-cloudhub' });
  const transport: Component = { name: 'kube', start: async () => {}, stop: () => kube.transport.close() };
  const hub = await createCloudhub({
    ...config,
    kube: kube.client,
    clock,
    random: Math.random,
    utilization: loopUtilization(),
    logger,
  });
  const components = [transport, ...hub.components];
  return { app: createLifecycle({ components, stopTimeoutMs: STOP_TIMEOUT_MS, clock, logger }), logger };
});

function loopUtilization(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
