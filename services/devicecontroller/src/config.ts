// The command line of devicecontroller as a value.
import { CONTROLLER_FLAGS, type ControllerFlags, controllerFlags } from '@skerry/common/controller/flags';
import { parseFlags, positiveFlag, requireFlag } from '@skerry/common/process';

export interface Config extends ControllerFlags {
  /** Folder of tls.crt, tls.key and ca.crt. */
  readonly tlsDir: string;
  /** At most one write of a DeviceStatus in this time, in ms. */
  readonly reportCycleMs: number;
  /** Writes of DeviceStatuses a second, of this replica. */
  readonly writesPerSecond: number;
}

/** Throws `invalid_argument` with the flag's name. */
export function parseConfig(argv: readonly string[]): Config {
  const flags = parseFlags(argv, {
    ...CONTROLLER_FLAGS,
    'tls-dir': { type: 'string' },
    'report-cycle-ms': { type: 'string', default: '1000' },
    'writes-per-second': { type: 'string', default: '200' },
  });
  return {
    ...controllerFlags(flags),
    tlsDir: requireFlag(flags['tls-dir'], 'tls-dir', 'the folder of tls.crt, tls.key and ca.crt'),
    reportCycleMs: positiveFlag(flags['report-cycle-ms'], 'report-cycle-ms'),
    writesPerSecond: positiveFlag(flags['writes-per-second'], 'writes-per-second'),
  };
}
