// Writes a service's counters into its log once a minute, for people who look into a running system.
// Invariant: a service in which nothing happened writes nothing.
import type { Clock, Timer } from '../clock.js';
import type { Component } from '../lifecycle.js';
import type { LogFields, Logger } from '../logger.js';

export interface CounterLogOptions {
  /** Counters and gauges of the moment, JSON. */
  readonly collect: () => LogFields;
  readonly clock: Clock;
  readonly logger: Logger;
}

const INTERVAL_MS = 60_000;

export function createCounterLog({ collect, clock, logger }: CounterLogOptions): Component {
  let timer: Timer | undefined;
  let written = '';

  function arm(): void {
    timer = clock.after(INTERVAL_MS, () => {
      const fields = collect();
      const now = JSON.stringify(fields);
      if (now !== written) logger.debug('counters', fields);
      written = now;
      arm();
    });
  }

  return {
    name: 'counter log',
    async start() {
      arm();
    },
    async stop() {
      timer?.cancel();
    },
  };
}
