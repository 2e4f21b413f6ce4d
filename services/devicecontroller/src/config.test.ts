import { describe, expect, test } from '@jest/globals';
import { parseConfig } from './config.js';

const NEEDED = ['--hub', 'cloudhub:10000', '--instance', 'devicecontroller-0', '--tls-dir', '/tls'];

describe('command line', () => {
  test('has defaults for the pace of writes', () => {
    expect(parseConfig(NEEDED)).toMatchObject({ tlsDir: '/tls', reportCycleMs: 1_000, writesPerSecond: 200 });
    expect(parseConfig([...NEEDED, '--report-cycle-ms', '250', '--writes-per-second', '0.5'])).toMatchObject({
      reportCycleMs: 250,
      writesPerSecond: 0.5,
    });
  });

  test.each(['0', '-1', 'fast', 'Infinity', ''])('refuses "%s" writes a second', (value) => {
    expect(() => parseConfig([...NEEDED, `--writes-per-second=${value}`])).toThrow('is not a positive number');
  });

  test('needs its certificate', () => {
    expect(() => parseConfig(NEEDED.slice(0, 4))).toThrow('--tls-dir is missing');
  });
});
