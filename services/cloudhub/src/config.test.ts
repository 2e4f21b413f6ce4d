import { describe, expect, test } from '@jest/globals';
import { parseConfig } from './config.js';

const NEEDED = ['--tls-dir', '/tls', '--instance', 'hub-0'];

describe('command line', () => {
  test('has defaults for all but the TLS folder and the instance', () => {
    expect(parseConfig(NEEDED)).toEqual({
      host: '0.0.0.0',
      port: 10_000,
      tlsDir: '/tls',
      kubeconfig: undefined,
      instance: 'hub-0',
      logLevel: 'info',
    });
    expect(() => parseConfig(['--instance', 'hub-0'])).toThrow('--tls-dir is missing');
    expect(() => parseConfig(['--tls-dir', '/tls'])).toThrow('--instance is missing');
    expect(() => parseConfig([...NEEDED, '--plaintext'])).toThrow('--plaintext');
  });

  test.each([
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['[::1]:443', '[::1]', 443],
    ['hub.example:10000', 'hub.example', 10_000],
  ])('listens on %s', (listen, host, port) => {
    expect(parseConfig([...NEEDED, '--listen', listen])).toMatchObject({ host, port });
  });

  test.each(['10000', ':10000', 'a:b', 'a:70000', '::1:80', ''])('refuses to listen on "%s"', (listen) => {
    expect(() => parseConfig([...NEEDED, `--listen=${listen}`])).toThrow('is not host:port');
  });
});
