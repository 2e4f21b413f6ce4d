// The simulated thermostat as a process: --broker URL --namespace NS --name NAME.
import { systemClock } from '@skerry/common/clock';
import { createLifecycle } from '@skerry/common/lifecycle';
import { parseFlags, processLogger, requireFlag, runMain } from '@skerry/common/process';
import { startThermostat, type Thermostat } from './thermostat.js';

const STOP_TIMEOUT_MS = 3_000;

await runMain(async (argv) => {
  const flags = parseFlags(argv, {
    broker: { type: 'string' },
    namespace: { type: 'string', default: 'default' },
    name: { type: 'string' },
    'log-level': { type: 'string', default: 'info' },
  });
  const brokerUrl = requireFlag(flags.broker, 'broker', 'the MQTT broker, for example mqtt://127.0.0.1:1883');
  const name = requireFlag(flags.name, 'name', "the Device object's name");
  const clock = systemClock();
  const logger = processLogger('thermostat', flags['log-level']);
  let thermostat: Thermostat | undefined;
  const component = {
    name: 'thermostat',
    async start() {
      thermostat = await startThermostat({ brokerUrl, namespace: flags.namespace, name, clock, logger });
    },
    stop: async () => thermostat?.stop(),
  };
  return { app: createLifecycle({ components: [component], stopTimeoutMs: STOP_TIMEOUT_MS, clock, logger }), logger };
});
