// The edgecontroller process: flags in, app out. Only this file reads the command line.
import { systemClock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import { connectKube } from '@skerry/common/kube/client';
import { kubeConfigSource, loadKubeConnection } from '@skerry/common/kube/config';
import { type Component, createLifecycle } from '@skerry/common/lifecycle';
import { parseFlags, processLogger, requireFlag, runMain } from '@skerry/common/process';
import { createEdgeController } from './app.js';

const STOP_TIMEOUT_MS = 10_000;
const SERVER_NAMES = 'localhost,127.0.0.1,cloudhub,cloudhub.skerry-system.svc';

await runMain(async (argv) => {
  const flags = parseFlags(argv, {
    kubeconfig: { type: 'string' },
    hub: { type: 'string', multiple: true },
    instance: { type: 'string' },
    'server-names': { type: 'string', default: SERVER_NAMES },
    'health-socket': { type: 'string' },
    'log-level': { type: 'string', default: 'info' },
  });
  const logger = processLogger('edgecontroller', flags['log-level']);
  const clock = systemClock();
  if (!flags.hub?.length)
    throw new SkerryError('invalid_argument', '--hub is missing: give host:port of a cloudhub, once for each replica');
  const connection = await loadKubeConnection(kubeConfigSource(flags.kubeconfig), clock);
  const kube = connectKube({ connection, clock, random: Math.random, userAgent: 'skerry-edgecontroller' });
  const transport: Component = { name: 'kube', start: async () => {}, stop: () => kube.transport.close() };
  const { components } = createEdgeController({
    client: kube.client,
    hubs: flags.hub,
    instance: requireFlag(flags.instance, 'instance', 'a name that no other replica has, for example the Pod name'),
    softwareVersion: '0.1.0',
    serverNames: flags['server-names'].split(',').filter((name) => name !== ''),
    ...(flags['health-socket'] !== undefined && { healthSocket: flags['health-socket'] }),
    clock,
    random: Math.random,
    logger,
  });
  const app = createLifecycle({
    components: [transport, ...components],
    stopTimeoutMs: STOP_TIMEOUT_MS,
    clock,
    logger,
  });
  return { app, logger };
});
