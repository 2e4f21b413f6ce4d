// The state lane of a lane session: carries out what the sender's and the receiver's cores decide, on the source, the sink and the clock.
// Invariants: no effect's failure escapes: a source that cannot be read is tried again, a sink that throws is answered as rejected.
import { Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import type { Clock, Timer } from '../clock.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../logger.js';
import type { LanePort } from './lane-port.js';
import { MAX_TEXT_LENGTH } from './limits.js';
import {
  createStateReceiver,
  type Operation,
  type ReceiverEffect,
  type ReceiverInput,
  targetOf,
} from './state-receiver.js';
import { createStateSender, type SenderEffect, type SenderInput } from './state-sender.js';
import { trampoline } from './trampoline.js';
import type { Body, Entry, LaneSessionStats, Settlement, StateSink, StateSource } from './types.js';

export interface StateLaneOptions {
  readonly port: LanePort;
  readonly source: StateSource;
  readonly sink: StateSink;
  readonly onViolation: (message: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** In [0, 1): spreads the comparisons of many sessions. */
  readonly random: () => number;
}

export interface StateLane {
  attach(): void;
  detach(): void;
  receive(body: Body, cost: number): void;
  dirty(key: string): void;
  compare(): void;
  roomCame(): void;
  stats(): LaneSessionStats;
}

/** How often a receiver tells what it has, give or take a tenth. */
const TELL_INTERVAL_MS = 10 * 60_000;
const TELL_JITTER = 0.1;
/** When a failed read or confirmation is tried again, up to twice this. */
const RETRY_MS = 2_000;

export function createStateLane(options: StateLaneOptions): StateLane {
  const { port, source, sink, clock, logger } = options;
  const senderCore = createStateSender({
    versions: () => source.versions(),
    complete: () => source.complete(),
    epoch: () => source.epoch(),
    room: () => port.room(),
  });
  const receiverCore = createStateReceiver({
    versions: () => sink.versions(),
    unsynced: () => sink.unsynced(),
    room: () => port.replyRoom(),
  });
  const sender = trampoline<SenderInput, SenderEffect>(senderCore.step, performSender);
  const receiver = trampoline<ReceiverInput, ReceiverEffect>(receiverCore.step, performReceiver);
  let tellTimer: Timer | undefined;
  let retryTimer: Timer | undefined;

  function performSender(effect: SenderEffect): void {
    switch (effect.kind) {
      case 'send':
        port.send(effect.body);
        return;
      case 'read':
        read(effect.key, effect.turn);
        return;
      case 'confirm':
        confirm(effect.key, effect.turn);
        return;
      case 'retryLater':
        retryTimer = clock.after(RETRY_MS * (1 + options.random()), () => sender({ kind: 'retry' }));
        return;
      case 'settled':
        source.settled(effect.key, effect.version, effect.settlement);
        return;
      case 'violation':
        options.onViolation(effect.message);
        return;
    }
  }

  /** Most sources answer at once; then no promise is made. */
  function read(key: string, turn: number): void {
    const failed = (error: unknown): void => {
      logger.warn('state could not be read and is tried again', { key, error: messageOf(error) });
      sender({ kind: 'failed', key, turn });
    };
    const done = (entry: Entry | undefined): void => sender({ kind: 'read', key, turn, entry });
    try {
      const entry = source.read(key);
      if (isPromise(entry)) entry.then(done).catch(failed);
      else done(entry);
    } catch (error) {
      failed(error);
    }
  }

  function confirm(key: string, turn: number): void {
    const asked = async (): Promise<void> => {
      const absent = await source.confirmAbsent(key);
      sender({ kind: 'confirmed', key, turn, absent });
    };
    asked().catch((error: unknown) => {
      logger.warn('absence could not be confirmed and is asked again', { key, error: messageOf(error) });
      sender({ kind: 'failed', key, turn });
    });
  }

  function performReceiver(effect: ReceiverEffect): void {
    switch (effect.kind) {
      case 'send':
        port.send(effect.body);
        return;
      case 'refund':
        port.refund(effect.bytes);
        return;
      case 'apply':
        apply(effect.operation);
        return;
      case 'synced':
        sink.synced(effect.epoch).catch((error: unknown) => {
          logger.error('a full set could not be recorded', { error: messageOf(error) });
        });
        return;
    }
  }

  function apply(operation: Operation): void {
    const { key } = targetOf(operation);
    const applied = async (): Promise<void> => {
      const settlement = await applyTo(sink, operation);
      receiver({ kind: 'applied', key, settlement: bounded(settlement) });
    };
    applied().catch((error: unknown) => {
      logger.error('state could not be applied', { key, error: messageOf(error) });
      const settlement = { outcome: Done_Outcome.OUTCOME_REJECTED, code: 'Internal', reason: messageOf(error) };
      receiver({ kind: 'applied', key, settlement: bounded(settlement) });
    });
  }

  function receive(body: Body, cost: number): void {
    switch (body.$case) {
      case 'put':
        receiver({ kind: 'put', put: body.value, cost });
        return;
      case 'delete':
        receiver({ kind: 'delete', delete: body.value, cost });
        return;
      default:
        // Taken as soon as it is here; only entries wait for a disk or an API.
        port.refund(cost);
        receiveAnswer(body);
        return;
    }
  }

  function receiveAnswer(body: Body): void {
    switch (body.$case) {
      case 'inventoryRequest':
        receiver({ kind: 'inventoryRequest', request: body.value });
        return;
      case 'synced':
        receiver({ kind: 'synced', epoch: body.value.shardEpoch });
        return;
      case 'done': {
        const { key, version, outcome, code, reason } = body.value;
        sender({ kind: 'done', key, version, settlement: { outcome, code, reason } });
        return;
      }
      case 'digest':
        sender({ kind: 'digest', kinds: body.value.kinds });
        return;
      case 'inventory':
        sender({ kind: 'inventory', ...body.value });
        return;
      default:
        options.onViolation(`a ${body.$case} is no message of a state lane`);
        return;
    }
  }

  function scheduleTell(): void {
    const spread = 1 + TELL_JITTER * (2 * options.random() - 1);
    tellTimer = clock.after(TELL_INTERVAL_MS * spread, () => {
      receiver({ kind: 'tell' });
      scheduleTell();
    });
  }

  function attach(): void {
    receiver({ kind: 'attach' });
    sender({ kind: 'attach' });
    scheduleTell();
  }

  function detach(): void {
    tellTimer?.cancel();
    retryTimer?.cancel();
    sender({ kind: 'detach' });
    receiver({ kind: 'detach' });
  }

  function stats(): LaneSessionStats {
    const { receivedPuts, receivedDeletes, inventories, refusedStale } = receiverCore.stats();
    const sent = senderCore.stats();
    return { ...sent, receivedPuts, receivedDeletes, inventories, staleEpochs: sent.staleEpochs + refusedStale };
  }

  return {
    attach,
    detach,
    receive,
    dirty: (key) => sender({ kind: 'dirty', key }),
    compare: () => {
      receiver({ kind: 'tell' });
      sender({ kind: 'compare' });
    },
    roomCame: () => {
      sender({ kind: 'room' });
      receiver({ kind: 'room' });
    },
    stats,
  };
}

function applyTo(sink: StateSink, operation: Operation): Promise<Settlement> {
  if (operation.kind === 'delete') {
    const { key, version, shardEpoch } = operation.delete;
    return sink.delete(key, version, shardEpoch);
  }
  const { key, version, payload, absent, references, shardEpoch } = operation.put;
  return sink.put(key, { version, payload, absent, references }, shardEpoch);
}

function bounded({ outcome, code, reason }: Settlement): Settlement {
  return { outcome, code: code.slice(0, MAX_TEXT_LENGTH), reason: reason.slice(0, MAX_TEXT_LENGTH) };
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value;
}
