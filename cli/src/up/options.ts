// Flags of `skerry up`, compiled.
import { resolve } from 'node:path';
import { SkerryError } from '@skerry/common/errors';
import { parseFlags } from '@skerry/common/process';

export interface UpOptions {
  /** End after the scenario. */
  readonly once: boolean;
  /** Kept after the end; undefined: a temporary folder that is removed. */
  readonly stateDir: string | undefined;
  /** A real cluster instead of the embedded one. */
  readonly kubeconfig: string | undefined;
  readonly mqttPort: number;
  readonly pagePort: number;
  readonly cutSeconds: number;
  /** How the link fails: reset and refused, or black-holed. */
  readonly cutMode: 'cut' | 'silent';
  readonly logLevel: string;
}

export const UP_USAGE = `skerry up: a cloud, an edge node, a Pod and a device on this machine
  --once               exit after the demonstration, 0 when every step succeeded
  --state DIR          keep the state in DIR (default: a temporary folder, removed at the end)
  --kubeconfig FILE    use a real cluster instead of the embedded API server
  --mqtt-port N        where devices connect (default 1884, or a free port; 0: any)
  --page-port N        where the example Pod serves its page (default 8080, or a free port; 0: any)
  --cut-seconds N      how long the cloud is away in the demonstration (default 10)
  --cut-mode MODE      cut: connections are reset and refused; silent: bytes vanish (default cut)
  --log-level LEVEL    of the processes' log files: debug, info, warn, error (default info)`;

/** Throws `invalid_argument` naming the flag. */
export function compileUpOptions(argv: readonly string[]): UpOptions {
  const flags = parseFlags(argv, {
    once: { type: 'boolean' },
    state: { type: 'string' },
    kubeconfig: { type: 'string' },
    'mqtt-port': { type: 'string' },
    'page-port': { type: 'string' },
    'cut-seconds': { type: 'string' },
    'cut-mode': { type: 'string' },
    'log-level': { type: 'string' },
  });
  const cutMode = flags['cut-mode'] ?? 'cut';
  if (cutMode !== 'cut' && cutMode !== 'silent')
    throw new SkerryError('invalid_argument', `--cut-mode is "${cutMode}": want cut or silent`);
  return {
    once: flags.once ?? false,
    stateDir: flags.state === undefined ? undefined : resolve(flags.state),
    kubeconfig: flags.kubeconfig === undefined ? undefined : resolve(flags.kubeconfig),
    mqttPort: integer(flags['mqtt-port'], 'mqtt-port', 1884, 0, 65_535),
    pagePort: integer(flags['page-port'], 'page-port', 8080, 0, 65_535),
    cutSeconds: integer(flags['cut-seconds'], 'cut-seconds', 10, 1, 3_600),
    cutMode,
    logLevel: flags['log-level'] ?? 'info',
  };
}

function integer(text: string | undefined, name: string, fallback: number, min: number, max: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new SkerryError('invalid_argument', `--${name} is "${text}": want a whole number from ${min} to ${max}`);
}
