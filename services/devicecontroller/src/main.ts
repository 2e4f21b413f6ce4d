// The devicecontroller process: flags in, app out.
import { systemClock } from '@skerry/common/clock';
import { createTlsReloader, createTlsSource, loadTlsFiles } from '@skerry/common/grpc/tls';
import { connectKube } from '@skerry/common/kube/client';
import { kubeConfigSource, loadKubeConnection } from '@skerry/common/kube/config';
import { type Component, createLifecycle } from '@skerry/common/lifecycle';
import { processLogger, runMain } from '@skerry/common/process';
import { createDeviceController } from './app.js';
import { parseConfig } from './config.js';

const STOP_TIMEOUT_MS = 10_000;
const TLS_LOOK_MS = 10_000;

await runMain(async (argv) => {
  const config = parseConfig(argv);
  const logger = processLogger('devicecontroller', config.logLevel);
  const clock = systemClock();
  const tls = createTlsSource(await loadTlsFiles(config.tlsDir));
  const connection = await loadKubeConnection(kubeConfigSource(config.kubeconfig), clock);
  const kube = connectKube({ connection, clock, random: Math.random, userAgent: 'skerry-devicecontroller' });
  const transport: Component = { name: 'kube', start: async () => {}, stop: () => kube.transport.close() };
  const controller = createDeviceController({
    ...config,
    client: kube.client,
    kubeStats: kube.transport.stats,
    tls: tls.current,
    clock,
    random: Math.random,
    logger,
  });
  const reloader = createTlsReloader({ dir: config.tlsDir, source: tls, intervalMs: TLS_LOOK_MS, clock, logger });
  const components = [transport, reloader, ...controller.components];
  return { app: createLifecycle({ components, stopTimeoutMs: STOP_TIMEOUT_MS, clock, logger }), logger };
});
