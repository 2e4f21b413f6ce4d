import { describe, expect, test } from '@jest/globals';
import { createLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { createAdmission } from './admission.js';
import { createCounters } from './counters.js';
import { createHousekeeping } from './housekeeping.js';

describe('housekeeping', () => {
  test('feeds admission each second, and reports once a minute when something happened', async () => {
    const clock = fakeClock();
    const counters = createCounters();
    const admission = createAdmission(() => 0, 0);
    const lines: string[] = [];
    const logger = createLogger({ level: 'info', write: (line) => lines.push(line), nowMs: clock.nowMs });
    const gauges = () => ({ edges: 3 });
    const housekeeping = createHousekeeping({ admission, utilization: () => 1, counters, gauges, clock, logger });
    await housekeeping.start();
    await clock.advance(60_000);
    expect(admission.rate()).toBe(5);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ message: 'counters', edges: 3, framesUp: 0 });
    counters.heartbeats = 100;
    await clock.advance(60_000);
    expect(lines).toHaveLength(1);
    counters.framesDropped = 1;
    await clock.advance(60_000);
    expect(lines).toHaveLength(2);
    await housekeeping.stop(AbortSignal.timeout(1_000));
    expect(clock.pending()).toBe(0);
  });
});
