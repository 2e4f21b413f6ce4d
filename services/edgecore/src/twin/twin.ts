// The twin sidecar: device twins between the cloud's wishes, clients on the node and the devices. Wires the pure core to its store, to edgecore
// and to the bridges. Invariants: nothing is answered, said or reported before it is on disk; when the disk refuses, everything under way is
// answered 500 and memory goes back to what the disk holds; the store has one opener.
import { dirname, join } from 'node:path';
import type { Clock } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import { createGrpcServer } from '@skerry/common/grpc/server';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import { type ExchangeRequest, TwinServiceService } from '@skerry/gen/skerry/edge/v1/twin';
import { acquireExclusive, type Exclusive } from '../disk/exclusive.js';
import { createDurableStore } from '../store/durable-store.js';
import { createTwinCore, type Result, type Step } from './core.js';
import { createDesiredSet } from './desired-set.js';
import { type MetaWatch, startMetaWatch } from './meta-watch.js';
import { type Reporter, startReporter } from './reporter.js';
import { createTwinService } from './twin-service.js';

export interface TwinOptions {
  readonly node: string;
  /** Where edgecore serves MetaService and ReportService. */
  readonly edgecoreSocket: string;
  /** Where TwinService is served. */
  readonly socket: string;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const RECOVERY_MS = 1_000;
const NOT_STORED: Result = { $case: 'error', value: { code: 500, reason: 'the node cannot store it now: try again' } };

export function createTwin(options: TwinOptions): Component {
  const { clock, logger } = options;
  const core = createTwinCore();
  const desired = createDesiredSet();
  const store = createDurableStore({ file: join(options.stateDir, 'twins.db'), logger, nowMs: clock.nowMs });
  const service = createTwinService({
    submit,
    welcome: () => core.deltas(),
    find: (id) => core.twins().get(id),
    nowMs: clock.nowMs,
  });
  const server = createGrpcServer({
    name: 'twin',
    services: [{ definition: TwinServiceService, implementation: service.implementation }],
    listen: { kind: 'unix', path: options.socket },
    clock,
    logger,
    beforeStop: async () => service.endStreams(),
  });
  const stopping = new AbortController();
  /** Raised when memory is thrown away: what was decided before it no longer counts. */
  let epoch = 0;
  let recovery: Promise<void> | undefined;
  let lock: Exclusive | undefined;
  let watch: MetaWatch | undefined;
  let reporter: Reporter | undefined;

  async function start(): Promise<void> {
    lock = await acquireExclusive(join(dirname(options.socket), 'twin.lock'));
    try {
      await loadStore();
      await server.start();
    } catch (error) {
      await letGo();
      throw error;
    }
    const { edgecoreSocket: socket } = options;
    const trouble = (): string | undefined => (recovery ? 'the store cannot be written' : undefined);
    reporter = startReporter({ socket, twins: core.twins, trouble, clock, logger });
    watch = startMetaWatch({
      socket,
      set: desired,
      clock,
      logger,
      onChange: (affected) => (affected.kind === 'all' ? reconcileAll() : affected.ids.forEach(reconcile)),
    });
  }

  async function stop(deadline: AbortSignal): Promise<void> {
    stopping.abort();
    await watch?.stop();
    await server.stop(deadline);
    await reporter?.stop();
    await recovery;
    await letGo();
  }

  async function letGo(): Promise<void> {
    await store.close();
    await lock?.release();
    lock = undefined;
  }

  async function loadStore(): Promise<void> {
    const { entries, corrupt } = await store.load();
    const ignored = core.reset(entries);
    if (corrupt > 0 || ignored.length > 0)
      logger.warn('twin records were lost', { corrupt, ignored: ignored.slice(0, 20) });
    logger.info('twins loaded', { node: options.node, devices: core.twins().size });
  }

  function submit(request: ExchangeRequest, deliver: (result: Result) => void): void {
    if (recovery) {
      deliver(NOT_STORED);
      return;
    }
    const step = core.answer(request, clock.nowMs());
    perform(step, deliver, step.result);
  }

  /** Brings one device in line with what the cloud wants. */
  function reconcile(id: string): void {
    if (recovery) return;
    const wanted = desired.wanted(id);
    if (wanted.kind === 'gone') perform(core.remove(id));
    if (wanted.kind !== 'present') return;
    const step = core.apply(wanted.device, wanted.model, clock.nowMs());
    if (step.faults.length > 0) logger.warn('a Device asks for what cannot be', { device: id, faults: step.faults });
    perform(step);
  }

  function reconcileAll(): void {
    for (const id of new Set([...desired.ids(), ...core.twins().keys()])) reconcile(id);
  }

  /** Commits resolve in the order they were made, so answers and notices keep it. */
  function perform(step: Step, deliver?: (result: Result) => void, result: Result = NOT_STORED): void {
    const decidedIn = epoch;
    const done = (): void => {
      deliver?.(decidedIn === epoch ? result : NOT_STORED);
      if (decidedIn !== epoch) return;
      service.notify(step.notices);
      reporter?.dirty(step.reports);
    };
    const failed = (): void => {
      if (decidedIn === epoch) beginRecovery();
      deliver?.(NOT_STORED);
    };
    store.commit(step.writes).then(done, failed);
  }

  function beginRecovery(): void {
    epoch += 1;
    recovery ??= recover().then(() => {
      recovery = undefined;
      reconcileAll();
      reporter?.dirty([...core.twins().keys()]);
    });
  }

  /** Memory is ahead of the disk: read the disk again, as soon as it allows. */
  async function recover(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await loadStore();
        break;
      } catch (error) {
        logger.error('the store cannot be opened again', { error: messageOf(error) });
        await clock.sleep(RECOVERY_MS, stopping.signal).catch(() => {});
      }
    }
  }

  return { name: 'twin', start, stop };
}
