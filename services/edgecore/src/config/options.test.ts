// The command line: what is taken, and that every refusal names its flag.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { SIDECARS } from './layout.js';
import { parseEdgecoreOptions, parseSidecarOptions, sidecarFlags, sidecarOptionsOf } from './options.js';
import { SOFTWARE_VERSION } from './version.js';

const given = { node: 'edge-1', hub: 'cloud.example:10000', state: '/var/lib/skerry', runtime: 'process' };
const argv = (over: Record<string, string | undefined> = {}): string[] =>
  Object.entries({ ...given, ...over }).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}`, value]));

describe('edgecore’s command line', () => {
  test('has defaults for all but node, hub, state and runtime', () => {
    expect(parseEdgecoreOptions(argv())).toEqual({
      node: 'edge-1',
      hub: { host: 'cloud.example', port: 10_000 },
      token: undefined,
      tokenFile: undefined,
      stateDir: '/var/lib/skerry',
      sidecars: 'process',
      runtime: 'process',
      processUser: undefined,
      mqttListen: '127.0.0.1:1883',
      logLevel: 'info',
    });
    expect(parseEdgecoreOptions(argv({ hub: '[::1]:7' })).hub).toEqual({ host: '::1', port: 7 });
  });

  test.each([
    ['node', undefined],
    ['node', 'Edge_1'],
    ['hub', undefined],
    ['hub', 'cloud.example'],
    ['hub', 'cloud.example:0'],
    ['state', undefined],
    ['state', `/${'x'.repeat(80)}`],
    ['runtime', undefined],
    ['runtime', 'docker'],
    ['sidecars', 'threads'],
    ['log-level', 'loud'],
    ['token', 'sk1.short'],
    ['colour', 'red'],
  ])('refuses --%s %s', (flag, value) => {
    const parse = () => parseEdgecoreOptions(argv({ [flag]: value }));
    expect(parse).toThrow(
      flag === 'token' ? /join token/ : flag === 'node' && value ? /node name/ : new RegExp(`--${flag}|${flag}`),
    );
  });

  test('takes a join token by a file, but not by both', () => {
    const token = `sk1.${'0'.repeat(64)}.${'a'.repeat(10)}.${'b'.repeat(26)}`;
    expect(parseEdgecoreOptions(argv({ token }))).toMatchObject({ token, tokenFile: undefined });
    expect(parseEdgecoreOptions(argv({ 'token-file': '/t' }))).toMatchObject({ token: undefined, tokenFile: '/t' });
    expect(() => parseEdgecoreOptions(argv({ token, 'token-file': '/t' }))).toThrow('--token-file');
  });

  test('is passed on to each sidecar, which reads back the same', () => {
    const options = parseEdgecoreOptions(argv({ 'process-user': 'nobody', 'log-level': 'debug' }));
    for (const name of SIDECARS) {
      const told = sidecarOptionsOf(name, options);
      const read = parseSidecarOptions(name, sidecarFlags(name, told));
      expect(read).toMatchObject({ node: 'edge-1', socket: `/var/lib/skerry/run/${name}.sock`, logLevel: 'debug' });
      expect(read.stateDir).toBe(told.stateDir);
      if (name === 'engine') expect(read).toMatchObject({ runtime: 'process', processUser: 'nobody' });
      if (name === 'bridge') expect(read.twinSocket).toBe('/var/lib/skerry/run/twin.sock');
    }
  });

  test('the version is that of the package', () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
      version: string;
    };
    expect(SOFTWARE_VERSION).toBe(version);
  });
});
