// The devicecontroller process: flags in, app out. Only this file reads the command line.
import { systemClock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import { createTlsReloader, createTlsSource, loadTlsFiles } from '@skerry/common/grpc/tls';
import { connectKube } from '@skerry/common/kube/client';
import { kubeConfigSource, loadKubeConnection } from '@skerry/common/kube/config';
import { type Component, createLifecycle } from '@skerry/common/lifecycle';
import { parseFlags, processLogger, requireFlag, runMain } from '@skerry/common/process';
import { createDeviceController } from './app.js';

const STOP_TIMEOUT_MS = 10_000;
const TLS_LOOK_MS = 10_000;

await runMain(async (argv) => {
  const flags = parseFlags(argv, {
    kubeconfig: { type: 'string' },
    hub: { type: 'string', multiple: true },
    'tls-dir': { type: 'string' },
    instance: { type: 'string' },
    'report-cycle-ms': { type: 'string', default: '1000' },
    'writes-per-second': { type: 'string', default: '200' },
    'health-socket': { type: 'string' },
    'log-level': { type: 'string', default: 'info' },
  });
  const logger = processLogger('devicecontroller', flags['log-level']);
  const clock = systemClock();
  if (!flags.hub?.length)
    throw new SkerryError('invalid_argument', '--hub is missing: give host:port of a cloudhub, once for each replica');
  const dir = requireFlag(flags['tls-dir'], 'tls-dir', 'the folder of tls.crt, tls.key and ca.crt');
  const tls = createTlsSource(await loadTlsFiles(dir));
  const connection = await loadKubeConnection(kubeConfigSource(flags.kubeconfig), clock);
  const kube = connectKube({ connection, clock, random: Math.random, userAgent: 'skerry-devicecontroller' });
  const transport: Component = { name: 'kube', start: async () => {}, stop: () => kube.transport.close() };
  const { components } = createDeviceController({
    client: kube.client,
    hubs: flags.hub,
    tls: tls.current,
    instance: requireFlag(flags.instance, 'instance', 'a name that no other replica has, for example the Pod name'),
    softwareVersion: '0.1.0',
    reportCycleMs: positive(flags['report-cycle-ms'], 'report-cycle-ms'),
    writesPerSecond: positive(flags['writes-per-second'], 'writes-per-second'),
    ...(flags['health-socket'] !== undefined && { healthSocket: flags['health-socket'] }),
    clock,
    random: Math.random,
    logger,
  });
  const reloader = createTlsReloader({ dir, source: tls, intervalMs: TLS_LOOK_MS, clock, logger });
  const app = createLifecycle({
    components: [transport, reloader, ...components],
    stopTimeoutMs: STOP_TIMEOUT_MS,
    clock,
    logger,
  });
  return { app, logger };
});

function positive(text: string, flag: string): number {
  const value = Number(text);
  if (!(Number.isFinite(value) && value > 0))
    throw new SkerryError('invalid_argument', `--${flag} "${text}" is not a positive number`);
  return value;
}
