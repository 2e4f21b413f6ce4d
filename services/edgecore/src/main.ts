// The edgecore process, and with `sidecar <name>` one of its sidecars: flags in, app out. Only this file reads the command line.
import { systemClock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import { createLifecycle, type Lifecycle } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import { processLogger, runMain } from '@skerry/common/process';
import { openEdgecore } from './app.js';
import { isSidecarName, layoutOf, SIDECARS, type SidecarName } from './config/layout.js';
import {
  type EdgecoreOptions,
  parseEdgecoreOptions,
  parseSidecarOptions,
  sidecarFlags,
  sidecarOptionsOf,
} from './config/options.js';
import { createSidecar } from './sidecars.js';
import { createInlineLauncher } from './supervisor/inline-launcher.js';
import type { Launcher } from './supervisor/launcher.js';
import { createProcessLauncher } from './supervisor/process-launcher.js';

/** A sidecar stops sooner than edgecore ends it by force, and edgecore later than its sidecars. */
const SIDECAR_STOP_MS = 3_000;
const EDGECORE_STOP_MS = 10_000;

const clock = systemClock();

interface App {
  readonly app: Lifecycle;
  readonly logger: Logger;
}

await runMain(async (argv) => {
  const [first, name = '', ...rest] = argv;
  if (first !== 'sidecar') return edgecore(argv);
  if (isSidecarName(name)) return sidecar(name, rest);
  throw new SkerryError('invalid_argument', `"${name}" is no sidecar: want one of ${SIDECARS.join(', ')}`);
});

async function edgecore(argv: readonly string[]): Promise<App> {
  const options = parseEdgecoreOptions(argv);
  const logger = processLogger('edgecore', options.logLevel);
  const launch = options.sidecars === 'inline' ? inlineLauncher(options, logger) : processLauncher(options, logger);
  const components = await openEdgecore(options, { clock, logger, launch });
  return { app: createLifecycle({ components, stopTimeoutMs: EDGECORE_STOP_MS, clock, logger }), logger };
}

async function sidecar(name: SidecarName, argv: readonly string[]): Promise<App> {
  // When edgecore dies its end of this pipe goes with it; what is still said then is lost, and no reason to die in the middle of stopping.
  process.stderr.on('error', () => {});
  const options = parseSidecarOptions(name, argv);
  const logger = processLogger(name, options.logLevel);
  const components = [await createSidecar(name, options, clock, logger)];
  return { app: createLifecycle({ components, stopTimeoutMs: SIDECAR_STOP_MS, clock, logger }), logger };
}

function processLauncher(options: EdgecoreOptions, logger: Logger): Launcher<SidecarName> {
  const [, script = ''] = process.argv;
  return createProcessLauncher({
    command: [process.execPath, ...process.execArgv, script],
    argsOf: (name) => sidecarFlags(name, sidecarOptionsOf(name, options)),
    lockFileOf: layoutOf(options.stateDir).lockOf,
    writeLine: (line) => process.stderr.write(`${line}\n`),
    ...{ clock, logger },
  });
}

function inlineLauncher(options: EdgecoreOptions, logger: Logger): Launcher<SidecarName> {
  return createInlineLauncher({
    create: (name) => createSidecar(name, sidecarOptionsOf(name, options), clock, logger.child({ component: name })),
    lockFileOf: layoutOf(options.stateDir).lockOf,
    ...{ clock, logger },
  });
}
