// The log lane of a lane session: carries out what the log cores decide, on the stores and the sink.
// Invariants: no effect's failure escapes: a store that cannot be read and a sink that throws are tried again, in order.
import type { Clock, Timer } from '../clock.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../logger.js';
import type { LanePort } from './lane-port.js';
import { createLogReceiver, type LogReceiverEffect, type LogReceiverInput } from './log-receiver.js';
import { createLogSender, type LogSenderEffect, type LogSenderInput } from './log-sender.js';
import { trampoline } from './trampoline.js';
import type { Body, LogItem, LogSink, LogSource } from './types.js';

export interface LogLaneOptions {
  readonly port: LanePort;
  readonly sources: readonly LogSource[];
  readonly sink: LogSink | undefined;
  readonly onViolation: (message: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** In [0, 1). */
  readonly random: () => number;
}

export interface LogLane {
  attach(): void;
  detach(): void;
  receive(body: Body, cost: number): void;
  grew(stream: string): void;
  roomCame(): void;
}

/** When a failed read or append is tried again, up to twice this. */
const RETRY_MS = 2_000;

export function createLogLane(options: LogLaneOptions): LogLane {
  const { port, sources, sink, clock, logger } = options;
  const senderCore = createLogSender({ streams: sources, room: () => port.room() });
  const receiverCore = createLogReceiver({
    last: (stream, epoch) => sink?.last(stream, epoch) ?? 0n,
    room: () => port.replyRoom(),
  });
  const sender = trampoline<LogSenderInput, LogSenderEffect>(senderCore.step, performSender);
  const receiver = trampoline<LogReceiverInput, LogReceiverEffect>(receiverCore.step, performReceiver);
  const timers = new Set<Timer>();

  function later(act: () => void): void {
    const timer = clock.after(RETRY_MS * (1 + options.random()), () => {
      timers.delete(timer);
      act();
    });
    timers.add(timer);
  }

  function performSender(effect: LogSenderEffect): void {
    switch (effect.kind) {
      case 'send':
        port.send(effect.body);
        return;
      case 'read':
        read(effect.stream, effect.turn, effect.after, effect.maxBytes);
        return;
      case 'retryLater':
        later(() => sender({ kind: 'retry' }));
        return;
      case 'doneThrough':
        sources.find((source) => source.stream === effect.stream)?.doneThrough(effect.n);
        return;
    }
  }

  function read(stream: string, turn: number, after: bigint, maxBytes: number): void {
    const asked = async (): Promise<void> => {
      const items = await sources.find((source) => source.stream === stream)?.read(after, maxBytes);
      sender({ kind: 'read', stream, turn, items: items ?? [] });
    };
    asked().catch((error: unknown) => {
      logger.error('a log could not be read and is tried again', { stream, error: messageOf(error) });
      sender({ kind: 'failed', stream, turn });
    });
  }

  function performReceiver(effect: LogReceiverEffect): void {
    switch (effect.kind) {
      case 'send':
        port.send(effect.body);
        return;
      case 'refund':
        port.refund(effect.bytes);
        return;
      case 'append':
        append(effect.id, effect.stream, effect.epoch, effect.items);
        return;
      case 'retryLater':
        later(() => receiver({ kind: 'retry' }));
        return;
      case 'violation':
        options.onViolation(effect.message);
        return;
    }
  }

  function append(id: string, stream: string, epoch: string, items: readonly LogItem[]): void {
    const asked = async (): Promise<void> => {
      await sink?.append(stream, epoch, items);
      receiver({ kind: 'appended', id });
    };
    asked().catch((error: unknown) => {
      logger.warn('log entries could not be taken and are tried again', { stream, error: messageOf(error) });
      receiver({ kind: 'failed', id });
    });
  }

  function receive(body: Body, cost: number): void {
    if (body.$case === 'logEntries' && sink) {
      receiver({ kind: 'entries', batch: body.value, cost });
      return;
    }
    port.refund(cost);
    if (body.$case === 'doneThrough') {
      sender({ kind: 'doneThrough', ...body.value });
      return;
    }
    options.onViolation(`a ${body.$case} came on a log lane that takes none`);
  }

  function detach(): void {
    for (const timer of timers) timer.cancel();
    timers.clear();
    sender({ kind: 'detach' });
    receiver({ kind: 'detach' });
  }

  return {
    attach: () => sender({ kind: 'attach' }),
    detach,
    receive,
    grew: (stream) => sender({ kind: 'grew', stream }),
    roomCame: () => {
      sender({ kind: 'room' });
      receiver({ kind: 'room' });
    },
  };
}
