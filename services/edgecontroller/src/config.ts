// The command line of edgecontroller as a value.
import { CONTROLLER_FLAGS, type ControllerFlags, controllerFlags } from '@skerry/common/controller/flags';
import { SkerryError } from '@skerry/common/errors';
import { parseFlags, positiveFlag } from '@skerry/common/process';

export interface Config extends ControllerFlags {
  /** Further names and addresses for the hubs' certificate. */
  readonly serverNames: readonly string[];
  /** How long a node's certificate lives. */
  readonly nodeCertificateTtlMs: number;
}

const DAY_MS = 86_400_000;
const SERVER_NAMES = 'localhost,127.0.0.1,cloudhub,cloudhub.skerry-system.svc';

/** Throws `invalid_argument` with the flag's name. */
export function parseConfig(argv: readonly string[]): Config {
  const flags = parseFlags(argv, {
    ...CONTROLLER_FLAGS,
    'server-names': { type: 'string', default: SERVER_NAMES },
    'node-certificate-days': { type: 'string', default: '365' },
  });
  const serverNames = flags['server-names'].split(',').filter((name) => name !== '');
  if (serverNames.length === 0)
    throw new SkerryError(
      'invalid_argument',
      '--server-names is empty: give names and addresses of the hubs, separated by commas',
    );
  return {
    ...controllerFlags(flags),
    serverNames,
    nodeCertificateTtlMs: positiveFlag(flags['node-certificate-days'], 'node-certificate-days') * DAY_MS,
  };
}
