// The command line of edgecore and of its sidecars, as checked options. Pure: nothing is read but the arguments.
import { resolve } from 'node:path';
import { SkerryError } from '@skerry/common/errors';
import { isLogLevel, type LogLevel } from '@skerry/common/logger';
import { parseJoinToken } from '@skerry/common/pki/join-token';
import { checkNodeName } from '@skerry/common/pki/names';
import { parseFlags, requireFlag } from '@skerry/common/process';
import type { HubAddress } from '../identity/pinned-ca.js';
import { layoutOf, type SidecarName } from './layout.js';

export const RUNTIMES = ['process', 'fake'] as const;
export type RuntimeKind = (typeof RUNTIMES)[number];

/** What a sidecar is told; edgecore passes it on as flags or, inline, as it is. */
export interface SidecarOptions {
  readonly node: string;
  readonly edgecoreSocket: string;
  readonly socket: string;
  /** The sidecar's own folder. */
  readonly stateDir: string;
  readonly logLevel: LogLevel;
  /** Of the engine. */
  readonly runtime: RuntimeKind;
  /** Of the engine: whom the commands of the process runtime run as; undefined: whoever runs the engine. */
  readonly processUser: string | undefined;
  /** Of the bridge: host:port of its broker. */
  readonly mqttListen: string;
  /** Of the bridge. */
  readonly twinSocket: string;
}

export interface EdgecoreOptions {
  readonly node: string;
  readonly hub: HubAddress;
  /** A join token, or the file that holds one; not both. */
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly stateDir: string;
  readonly sidecars: 'process' | 'inline';
  readonly runtime: RuntimeKind;
  readonly processUser: string | undefined;
  readonly mqttListen: string;
  readonly logLevel: LogLevel;
}

const DEFAULT_MQTT = '127.0.0.1:1883';
/** The longest path under the state folder that is a socket ends with "/run/edgecore.lock" and a suffix. */
const MAX_STATE_PATH = 75;

/** Throws `invalid_argument` that names the flag and what it wants. */
export function parseEdgecoreOptions(argv: readonly string[]): EdgecoreOptions {
  const flags = parseFlags(argv, {
    node: { type: 'string' },
    hub: { type: 'string' },
    token: { type: 'string' },
    'token-file': { type: 'string' },
    state: { type: 'string' },
    sidecars: { type: 'string', default: 'process' },
    runtime: { type: 'string' },
    'process-user': { type: 'string' },
    'mqtt-listen': { type: 'string', default: DEFAULT_MQTT },
    'log-level': { type: 'string', default: 'info' },
  });
  const node = requireFlag(flags.node, 'node', 'the name of this node');
  checkNodeName(node);
  return {
    node,
    ...tokenOf(flags.token, flags['token-file']),
    hub: parseHub(requireFlag(flags.hub, 'hub', 'host:port of a cloudhub')),
    stateDir: stateDirOf(requireFlag(flags.state, 'state', 'a folder that only this node uses')),
    sidecars: oneOf(flags.sidecars, 'sidecars', ['process', 'inline'] as const),
    runtime: runtimeOf(flags.runtime),
    processUser: flags['process-user'],
    mqttListen: flags['mqtt-listen'],
    logLevel: logLevelOf(flags['log-level']),
  };
}

export function parseSidecarOptions(name: SidecarName, argv: readonly string[]): SidecarOptions {
  const flags = parseFlags(argv, {
    node: { type: 'string' },
    'edgecore-socket': { type: 'string' },
    socket: { type: 'string' },
    state: { type: 'string' },
    runtime: { type: 'string' },
    'process-user': { type: 'string' },
    'mqtt-listen': { type: 'string', default: DEFAULT_MQTT },
    'twin-socket': { type: 'string' },
    'log-level': { type: 'string', default: 'info' },
  });
  const node = requireFlag(flags.node, 'node', 'the name of this node');
  checkNodeName(node);
  const stateDir = resolve(requireFlag(flags.state, 'state', `the folder of the ${name}`));
  return {
    node,
    stateDir,
    edgecoreSocket: requireFlag(flags['edgecore-socket'], 'edgecore-socket', 'the socket of edgecore'),
    socket: requireFlag(flags.socket, 'socket', `the socket that the ${name} serves`),
    runtime: name === 'engine' ? runtimeOf(flags.runtime) : 'fake',
    processUser: flags['process-user'],
    mqttListen: flags['mqtt-listen'],
    twinSocket: name === 'bridge' ? requireFlag(flags['twin-socket'], 'twin-socket', 'the socket of the twin') : '',
    logLevel: logLevelOf(flags['log-level']),
  };
}

/** What edgecore tells a sidecar. */
export function sidecarOptionsOf(name: SidecarName, options: EdgecoreOptions): SidecarOptions {
  const layout = layoutOf(options.stateDir);
  const { node, logLevel, runtime, processUser, mqttListen } = options;
  return {
    ...{ node, logLevel, runtime, processUser, mqttListen },
    edgecoreSocket: layout.edgecoreSocket,
    socket: layout.socketOf(name),
    stateDir: layout.stateOf(name),
    twinSocket: layout.socketOf('twin'),
  };
}

/** The same as flags: `parseSidecarOptions` reads them back. */
export function sidecarFlags(name: SidecarName, options: SidecarOptions): string[] {
  const common = {
    node: options.node,
    'edgecore-socket': options.edgecoreSocket,
    socket: options.socket,
    state: options.stateDir,
    'log-level': options.logLevel,
  };
  const own: Record<SidecarName, Record<string, string>> = {
    engine: { runtime: options.runtime, ...(options.processUser ? { 'process-user': options.processUser } : {}) },
    twin: {},
    bridge: { 'mqtt-listen': options.mqttListen, 'twin-socket': options.twinSocket },
  };
  return Object.entries({ ...common, ...own[name] }).flatMap(([flag, value]) => [`--${flag}`, value]);
}

function tokenOf(token = '', file = ''): Pick<EdgecoreOptions, 'token' | 'tokenFile'> {
  if (token !== '' && file !== '')
    throw new SkerryError('invalid_argument', '--token and --token-file are both given: leave one out');
  if (token !== '') parseJoinToken(token);
  return { token: token || undefined, tokenFile: file === '' ? undefined : resolve(file) };
}

/** `host:port`, `[::1]:port`. */
function parseHub(text: string): HubAddress {
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  if (host === '' || Number(port) === 0 || Number(port) > 65_535)
    throw new SkerryError('invalid_argument', `--hub "${text}" is not host:port, for example cloud.example:10000`);
  return { host, port: Number(port) };
}

function stateDirOf(text: string): string {
  const dir = resolve(text);
  if (Buffer.byteLength(dir) > MAX_STATE_PATH)
    throw new SkerryError(
      'invalid_argument',
      `--state ${dir} is longer than ${MAX_STATE_PATH} bytes: sockets under it would not fit`,
    );
  return dir;
}

/** Nothing is run on a host that did not ask for it: there is no default. */
function runtimeOf(text: string | undefined): RuntimeKind {
  return oneOf(
    requireFlag(text, 'runtime', 'process (commands on this host) or fake (for tests)'),
    'runtime',
    RUNTIMES,
  );
}

function oneOf<T extends string>(text: string, flag: string, known: readonly T[]): T {
  const found = known.find((value) => value === text);
  if (found === undefined)
    throw new SkerryError('invalid_argument', `--${flag} "${text}" is none of ${known.join(', ')}`);
  return found;
}

function logLevelOf(text: string): LogLevel {
  if (isLogLevel(text)) return text;
  throw new SkerryError('invalid_argument', `--log-level "${text}" is none of debug, info, warn, error`);
}
