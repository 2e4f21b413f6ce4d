// What the hub does by the clock: tells admission how busy the process is, and writes its counters into the log.
// Invariant: a quiet hub writes nothing.
import type { Clock, Timer } from '@skerry/common/clock';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import type { Admission } from './admission.js';
import type { Counters } from './counters.js';

export interface HousekeepingOptions {
  readonly admission: Admission;
  /** How busy the event loop was since the last call, 0 to 1. */
  readonly utilization: () => number;
  readonly counters: Counters;
  /** Values of the moment that go with the counters. */
  readonly gauges: () => Readonly<Record<string, number>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const OBSERVE_MS = 1_000;
const OBSERVATIONS_PER_REPORT = 60;

export function createHousekeeping(options: HousekeepingOptions): Component {
  const { admission, counters, clock, logger } = options;
  let timer: Timer | undefined;
  let observations = 0;
  let reported = '';

  function observe(): void {
    admission.observe(options.utilization());
    observations += 1;
    if (observations % OBSERVATIONS_PER_REPORT === 0) report();
    timer = clock.after(OBSERVE_MS, observe);
  }

  function report(): void {
    const { heartbeats: _heartbeats, leasesRenewed: _leasesRenewed, ...eventful } = counters;
    const now = JSON.stringify(eventful);
    if (now === reported) return;
    reported = now;
    logger.info('counters', { ...counters, ...options.gauges() });
  }

  return {
    name: 'housekeeping',
    async start() {
      timer = clock.after(OBSERVE_MS, observe);
    },
    async stop() {
      timer?.cancel();
    },
  };
}
