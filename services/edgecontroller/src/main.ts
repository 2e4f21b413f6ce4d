// The edgecontroller process: flags in, app out.
import { systemClock } from '@skerry/common/clock';
import { connectKube } from '@skerry/common/kube/client';
import { kubeConfigSource, loadKubeConnection } from '@skerry/common/kube/config';
import { type Component, createLifecycle } from '@skerry/common/lifecycle';
import { processLogger, runMain } from '@skerry/common/process';
import { createEdgeController } from './app.js';
import { parseConfig } from './config.js';

const STOP_TIMEOUT_MS = 10_000;

await runMain(async (argv) => {
  const config = parseConfig(argv);
  const logger = processLogger('edgecontroller', config.logLevel);
  const clock = systemClock();
  const connection = await loadKubeConnection(kubeConfigSource(config.kubeconfig), clock);
  const kube = connectKube({ connection, clock, random: Math.random, userAgent: 'skerry-edgecontroller' });
  const transport: Component = { name: 'kube', start: async () => {}, stop: () => kube.transport.close() };
  const controller = createEdgeController({
    ...config,
    client: kube.client,
    kubeStats: kube.transport.stats,
    clock,
    random: Math.random,
    logger,
  });
  const components = [transport, ...controller.components];
  return { app: createLifecycle({ components, stopTimeoutMs: STOP_TIMEOUT_MS, clock, logger }), logger };
});
