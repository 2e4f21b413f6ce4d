// The receiver of logs without I/O: hands entries over in order, once, and says what took effect.
// Invariants: one append of a stream is under way at a time, also across lane sessions; entries at or below the last one that took effect
// are not handed over; what waits is bounded by the lane's credit, streams by MAX_STREAMS.
import type { LogEntries } from '@skerry/gen/skerry/link/v1/link';
import { Fifo } from './fifo.js';
import { MAX_KEY_LENGTH } from './limits.js';
import type { Body, LogItem } from './types.js';

export type LogReceiverInput =
  | { readonly kind: 'detach' }
  | { readonly kind: 'entries'; readonly batch: LogEntries; readonly cost: number }
  /** Answers to `append`. */
  | { readonly kind: 'appended'; readonly id: string }
  | { readonly kind: 'failed'; readonly id: string }
  | { readonly kind: 'retry' }
  /** Replies left: more may be handed over. */
  | { readonly kind: 'room' };

export type LogReceiverEffect =
  | { readonly kind: 'send'; readonly body: Body }
  | {
      readonly kind: 'append';
      readonly id: string;
      readonly stream: string;
      readonly epoch: string;
      readonly items: readonly LogItem[];
    }
  /** Give the input `retry` after a while. */
  | { readonly kind: 'retryLater' }
  | { readonly kind: 'refund'; readonly bytes: number }
  | { readonly kind: 'violation'; readonly message: string };

export interface LogReceiverView {
  last(stream: string, epoch: string): bigint;
  /** True when replies leave. */
  room(): boolean;
}

export interface LogReceiver {
  step(input: LogReceiverInput): LogReceiverEffect[];
}

const MAX_STREAMS = 16;

interface Stream {
  readonly id: string;
  readonly stream: string;
  readonly epoch: string;
  readonly batches: Fifo<{ readonly items: readonly LogItem[]; readonly cost: number }>;
  appending: boolean;
  /** Highest number that was handed over, and that took effect, as far as this core knows. */
  handedOver: bigint;
  through: bigint;
}

export function createLogReceiver(view: LogReceiverView): LogReceiver {
  const streams = new Map<string, Stream>();
  let retrying = false;
  let effects: LogReceiverEffect[] = [];

  function step(input: LogReceiverInput): LogReceiverEffect[] {
    effects = [];
    take(input);
    for (const stream of streams.values()) start(stream);
    return effects;
  }

  function take(input: LogReceiverInput): void {
    switch (input.kind) {
      case 'detach':
        detach();
        return;
      case 'entries':
        takeEntries(input.batch, input.cost);
        return;
      case 'appended':
        finish(input.id, true);
        return;
      case 'failed':
        finish(input.id, false);
        return;
      case 'retry':
        retrying = false;
        return;
      case 'room':
        return;
    }
  }

  /** What waits will be sent again; an append under way ends first. */
  function detach(): void {
    for (const stream of streams.values()) {
      stream.batches.clear();
      if (!stream.appending) streams.delete(stream.id);
    }
    retrying = false;
  }

  function takeEntries({ stream: name, epoch, entries }: LogEntries, cost: number): void {
    const problem = batchProblem(name, epoch, entries);
    const id = `${epoch}\0${name}`;
    const fresh = { batches: new Fifo<never>(), appending: false, handedOver: 0n, through: 0n };
    const stream: Stream = streams.get(id) ?? { id, stream: name, epoch, ...fresh };
    streams.set(id, stream);
    if (problem ?? streams.size > MAX_STREAMS) {
      effects.push({ kind: 'violation', message: problem ?? `more than ${MAX_STREAMS} log streams` });
      return;
    }
    stream.batches.push({ items: entries, cost });
  }

  /** Drops what took effect before, hands the rest over. */
  function start(stream: Stream): void {
    while (!stream.appending && !retrying && view.room()) {
      const batch = stream.batches.peek();
      if (!batch) return;
      const last = lastOf(stream);
      const items = batch.items.filter((item) => item.n > last);
      if (items.length > 0) {
        stream.appending = true;
        stream.handedOver = items.at(-1)?.n ?? last;
        effects.push({ kind: 'append', id: stream.id, stream: stream.stream, epoch: stream.epoch, items });
        return;
      }
      complete(stream);
    }
  }

  function finish(id: string, ok: boolean): void {
    const stream = streams.get(id);
    if (!stream) return;
    stream.appending = false;
    if (ok) stream.through = stream.handedOver;
    if (stream.batches.length === 0) {
      // Its lane session is over.
      streams.delete(id);
      return;
    }
    if (ok) {
      start(stream);
      return;
    }
    if (!retrying) effects.push({ kind: 'retryLater' });
    retrying = true;
  }

  /** The first batch has taken effect. */
  function complete(stream: Stream): void {
    const batch = stream.batches.shift();
    if (!batch) return;
    const value = { stream: stream.stream, epoch: stream.epoch, n: lastOf(stream) };
    effects.push({ kind: 'send', body: { $case: 'doneThrough', value } });
    effects.push({ kind: 'refund', bytes: batch.cost });
  }

  function lastOf(stream: Stream): bigint {
    const told = view.last(stream.stream, stream.epoch);
    if (told < stream.through) return stream.through;
    return told;
  }

  return { step };
}

function batchProblem(stream: string, epoch: string, items: readonly LogItem[]): string | undefined {
  if (stream.length > MAX_KEY_LENGTH || epoch.length > MAX_KEY_LENGTH) return 'the name of a log stream is too long';
  let previous = 0n;
  for (const { n, gapFrom } of items) {
    if (n <= previous || gapFrom >= n) return `log entry ${n} of ${stream} is out of order`;
    previous = n;
  }
  return items.length === 0 ? 'a batch of log entries is empty' : undefined;
}
