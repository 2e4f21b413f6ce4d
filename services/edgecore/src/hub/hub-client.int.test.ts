// The hub client against a hub of one node, over real mTLS.
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { nullLogger } from '@skerry/common/logger';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { createIdentityKeeper } from '../identity/enrolment.js';
import { createSoloHub } from '../solo-hub/solo-hub.js';
import { createHubClient } from './hub-client.js';

const clock = systemClock();
const logger = nullLogger();

test('looks after its certificate at each connection, by the cloud’s time', () =>
  withTempDir(async (dir) => {
    const hub = await createSoloHub({ clock, logger });
    await hub.start();
    const address = { host: '127.0.0.1', port: hub.port() };
    const identity = createIdentityKeeper({
      ...{ node: 'edge-1', hub: address, token: hub.token, dir: join(dir, 'pki'), clock, logger },
    });
    const asked: number[] = [];
    const client = await new Promise<ReturnType<typeof createHubClient>>((resolve, reject) => {
      const made = createHubClient({
        ...{ node: 'edge-1', hub: address, softwareVersion: '0', storeEpoch: 'e', sessions: new Map(), clock, logger },
        identity: {
          obtain: identity.obtain,
          async renewIfDue(nowMs) {
            asked.push(nowMs);
            resolve(made);
            return false;
          },
        },
        generation: { next: async () => 1n, seen: () => {} },
        nodeClock: {
          name: 'clock',
          cloudNowMs: () => 4_711,
          correct: () => {},
          start: async () => {},
          stop: async () => {},
        },
      });
      made.start().catch(reject);
    });
    expect(asked).toEqual([4_711]);
    await client.stop(AbortSignal.timeout(5_000));
    await hub.stop();
  }));
