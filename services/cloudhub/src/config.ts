// The command line of cloudhub as a value.
import { SkerryError } from '@skerry/common/errors';
import { parseFlags, requireFlag } from '@skerry/common/process';

export interface Config {
  readonly host: string;
  readonly port: number;
  /** Folder of tls.crt, tls.key and ca.crt. */
  readonly tlsDir: string;
  /** Undefined: the Pod's service account. */
  readonly kubeconfig: string | undefined;
  /** A name that no other replica has. */
  readonly instance: string;
  readonly logLevel: string;
}

/** Throws `invalid_argument` with the flag's name. */
export function parseConfig(argv: readonly string[]): Config {
  const flags = parseFlags(argv, {
    listen: { type: 'string', default: '0.0.0.0:10000' },
    'tls-dir': { type: 'string' },
    kubeconfig: { type: 'string' },
    instance: { type: 'string' },
    'log-level': { type: 'string', default: 'info' },
  });
  return {
    ...parseListen(flags.listen),
    tlsDir: requireFlag(flags['tls-dir'], 'tls-dir', 'the folder of tls.crt, tls.key and ca.crt'),
    kubeconfig: flags.kubeconfig,
    instance: requireFlag(flags.instance, 'instance', 'a name that no other replica has, for example the Pod name'),
    logLevel: flags['log-level'],
  };
}

/** "host:port" or "[::1]:port"; port 0 takes a free one. */
function parseListen(text: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^(\[[0-9a-fA-F:.]+\]|[^:\s]+):(\d{1,5})$/.exec(text) ?? [];
  if (host === '' || Number(port) > 65_535)
    throw new SkerryError('invalid_argument', `--listen "${text}" is not host:port, for example 0.0.0.0:10000`);
  return { host, port: Number(port) };
}
