// The controllers that run inside, wired to the store: garbage collection, event expiry, node lifecycle, scheduler.
import type { Clock } from '@skerry/common/clock';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import { createDeleter } from './controllers/deleter.js';
import { createGarbageCollector } from './gc/collector.js';
import { createEventExpiry } from './gc/event-expiry.js';
import { createNodeLifecycle } from './nodelifecycle/node-lifecycle.js';
import type { Registry } from './registry/registry.js';
import { createScheduler } from './scheduler/scheduler.js';
import type { Store } from './storage/store.js';

export interface ControllersOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly newUid: () => string;
  /** How long a node may be silent before it is not ready any more. */
  readonly nodeGracePeriodMs: number;
  /** How long an Event is kept after it was last seen. */
  readonly eventTtlMs: number;
}

export function createControllers(options: ControllersOptions): Component[] {
  const { store: cluster, registry, clock, logger, newUid } = options;
  const deleteObject = createDeleter({ registry, clock, newUid });
  return [
    createGarbageCollector({ cluster, registry, clock, logger, deleteObject }),
    createEventExpiry({ cluster, clock, logger, ttlMs: options.eventTtlMs }),
    createNodeLifecycle({ cluster, clock, logger, newUid, deleteObject, graceMs: options.nodeGracePeriodMs }),
    createScheduler({ cluster, clock, logger, newUid }),
  ];
}
