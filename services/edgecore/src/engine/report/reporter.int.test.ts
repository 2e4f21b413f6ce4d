import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { podStatusKey } from '@skerry/common/keys';
import { nullLogger } from '@skerry/common/logger';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { EdgecoreDouble } from '../testing/edgecore-double.js';
import { createReporter, type Reporter } from './reporter.js';

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (done()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('it did not come to pass');
}

function put(reporter: Reporter, uid: string, version: string, size = 10): void {
  const value = {
    metadata: { name: uid, namespace: 'default', uid },
    status: { message: version, phase: 'x'.repeat(size) },
  };
  const payload = Buffer.from(JSON.stringify(value));
  reporter.put(podStatusKey('default', uid, uid), { version, payload, durable: false });
}

test('tells all, then complete, then changes; a burst larger than the stream takes arrives whole, newest only', () =>
  withTempDir(async (dir) => {
    const edgecoreSocket = join(dir, 'e.sock');
    const edgecore = new EdgecoreDouble(edgecoreSocket, systemClock());
    await edgecore.start();
    const reporter = createReporter({ edgecoreSocket, clock: systemClock(), logger: nullLogger() });
    for (let i = 0; i < 300; i++) put(reporter, `u${i}`, 'first', 10_000);
    reporter.start();
    await until(() => edgecore.statuses.size === 300);
    expect(edgecore.completes).toBe(0);
    reporter.ready();
    await until(() => edgecore.completes === 1);
    for (let round = 0; round < 50; round++) put(reporter, 'u7', `round ${round}`, 100_000);
    reporter.alive({ ok: true, reason: '' });
    await until(() => edgecore.status('u7')?.status.message === 'round 49');
    await until(() => edgecore.alive.length === 1);
    reporter.delete(podStatusKey('default', 'u7', 'u7'));
    await until(() => edgecore.statuses.size === 299);
    await reporter.stop();
    await edgecore.stop();
  }));
