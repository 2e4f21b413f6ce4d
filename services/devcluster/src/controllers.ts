// The controllers that run inside: each is a component that follows commits.
import type { Clock } from '@skerry/common/clock';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import type { WatchHub } from './http/watch.js';
import type { Operations } from './operations/operations.js';
import type { Registry } from './registry/registry.js';
import type { Store } from './storage/store.js';

export interface ControllerOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly operations: Operations;
  readonly watches: WatchHub;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly newUid: () => string;
  readonly nodeGracePeriodMs: number;
  readonly nodeMonitorPeriodMs: number;
  readonly eventTtlMs: number;
}

export function createControllers(_options: ControllerOptions): Component[] {
  return [];
}
