// The demonstration under kill -9 of each process at each step: everything is started again and the scenario still ends well.
import { describe, expect, test } from '@jest/globals';
import { withTempDir } from '../services/common/src/testing/temp-dir.js';
import { pidsOf, processesOf, startInstance, succeeded } from './support/instance.js';

/** Every process of an instance, in groups that are killed in the same run. */
const VICTIMS = [
  ['devcluster', 'edgecontroller', 'engine'],
  ['cloudhub', 'devicecontroller', 'twin'],
  ['edgecore', 'bridge', 'thermostat'],
];

describe('kill -9', () => {
  test.each(VICTIMS.map((victims) => [victims]))(
    'of %j at each step',
    (victims) =>
      withTempDir(async (dir) => {
        const instance = startInstance(['--once', '--state', dir, '--cut-seconds', '2']);
        const kills: Promise<number>[] = [];
        instance.onLine((line) => {
          if (line.includes('✓') && !line.includes('removed')) kills.push(killAll(dir, victims));
        });
        await succeeded(instance);
        const killed = (await Promise.all(kills)).reduce((sum, n) => sum + n, 0);
        expect(killed).toBeGreaterThan(10);
        expect(await processesOf(dir)).toEqual([]);
      }),
    240_000,
  );
});

async function killAll(dir: string, programs: readonly string[]): Promise<number> {
  let killed = 0;
  for (const program of programs) {
    for (const pid of await pidsOf(dir, program)) {
      try {
        process.kill(pid, 'SIGKILL');
        killed += 1;
      } catch {
        // It had just ended by itself.
      }
    }
  }
  return killed;
}
