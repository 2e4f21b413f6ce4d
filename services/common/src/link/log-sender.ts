// The sender of logs without I/O: what is read next of each stream and what may be forgotten.
// Invariants: entries of a stream are sent in order, once a lane session, from the cursor on; streams take turns; a store is told of an
// effect only by the consumer's word.
import { asBuffer } from './bytes.js';
import type { Body, LogItem } from './types.js';

export type LogSenderInput =
  | { readonly kind: 'attach' }
  | { readonly kind: 'detach' }
  | { readonly kind: 'grew'; readonly stream: string }
  /** There may be room to send. */
  | { readonly kind: 'room' }
  /** Answers to `read`. */
  | { readonly kind: 'read'; readonly stream: string; readonly turn: number; readonly items: readonly LogItem[] }
  | { readonly kind: 'failed'; readonly stream: string; readonly turn: number }
  | { readonly kind: 'retry' }
  /** From the peer. */
  | { readonly kind: 'doneThrough'; readonly stream: string; readonly epoch: string; readonly n: bigint };

export type LogSenderEffect =
  | { readonly kind: 'send'; readonly body: Body }
  | {
      readonly kind: 'read';
      readonly stream: string;
      readonly turn: number;
      readonly after: bigint;
      readonly maxBytes: number;
    }
  /** Give the input `retry` after a while. */
  | { readonly kind: 'retryLater' }
  | { readonly kind: 'doneThrough'; readonly stream: string; readonly n: bigint };

export interface LogSenderView {
  readonly streams: readonly { readonly stream: string; readonly epoch: string; cursor(): bigint }[];
  /** True when another batch may be prepared. */
  room(): boolean;
}

export interface LogSender {
  step(input: LogSenderInput): LogSenderEffect[];
}

/** Payload bytes of one batch, unless its first entry alone is longer. */
const BATCH_BYTES = 16 * 1024;

interface Stream {
  readonly stream: string;
  readonly epoch: string;
  cursor(): bigint;
  sentThrough: bigint;
  /** There may be entries after sentThrough. */
  more: boolean;
  reading: boolean;
  turn: number;
}

export function createLogSender(view: LogSenderView): LogSender {
  const streams: Stream[] = view.streams.map((source) => ({
    stream: source.stream,
    epoch: source.epoch,
    cursor: () => source.cursor(),
    sentThrough: 0n,
    more: true,
    reading: false,
    turn: 0,
  }));
  let attached = false;
  let next = 0;
  let retrying = false;
  let effects: LogSenderEffect[] = [];

  function step(input: LogSenderInput): LogSenderEffect[] {
    effects = [];
    take(input);
    pump();
    return effects;
  }

  function take(input: LogSenderInput): void {
    switch (input.kind) {
      case 'attach':
        attached = true;
        for (const stream of streams) begin(stream);
        return;
      case 'detach':
        attached = false;
        return;
      case 'grew':
        for (const stream of streams) if (stream.stream === input.stream) stream.more = true;
        return;
      case 'room':
        return;
      case 'read':
        takeRead(input.stream, input.turn, input.items);
        return;
      case 'failed':
        takeFailed(input.stream, input.turn);
        return;
      case 'retry':
        retrying = false;
        return;
      case 'doneThrough':
        takeDone(input.stream, input.epoch, input.n);
        return;
    }
  }

  function begin(stream: Stream): void {
    stream.sentThrough = stream.cursor();
    stream.more = true;
    stream.reading = false;
  }

  function pump(): void {
    if (!attached || retrying) return;
    for (let i = 0; i < streams.length; i++) {
      const stream = streams[next % streams.length];
      next++;
      if (!stream || !view.room()) return;
      if (!stream.more || stream.reading) continue;
      stream.reading = true;
      stream.more = false;
      effects.push({
        kind: 'read',
        stream: stream.stream,
        turn: ++stream.turn,
        after: stream.sentThrough,
        maxBytes: BATCH_BYTES,
      });
    }
  }

  function reader(name: string, turn: number): Stream | undefined {
    const stream = streams.find((candidate) => candidate.stream === name && candidate.turn === turn);
    if (!stream?.reading) return undefined;
    stream.reading = false;
    return stream;
  }

  function takeRead(name: string, turn: number, items: readonly LogItem[]): void {
    const stream = reader(name, turn);
    // The consumer may have said meanwhile that it has them.
    const news = items.filter((item) => item.n > (stream?.sentThrough ?? 0n));
    const last = news.at(-1);
    if (!stream || !last) return;
    stream.sentThrough = last.n;
    stream.more = true;
    const entries = news.map(({ n, payload, gapFrom }) => ({ n, payload: asBuffer(payload), gapFrom }));
    effects.push({
      kind: 'send',
      body: { $case: 'logEntries', value: { stream: stream.stream, epoch: stream.epoch, entries } },
    });
  }

  function takeFailed(name: string, turn: number): void {
    const stream = reader(name, turn);
    if (!stream) return;
    stream.more = true;
    if (!retrying) effects.push({ kind: 'retryLater' });
    retrying = true;
  }

  function takeDone(name: string, epoch: string, n: bigint): void {
    const stream = streams.find((candidate) => candidate.stream === name && candidate.epoch === epoch);
    if (!stream || n <= stream.cursor()) return;
    // A consumer that knows more than our cursor has had them before a restart of this side.
    if (n > stream.sentThrough) stream.sentThrough = n;
    effects.push({ kind: 'doneThrough', stream: name, n });
  }

  return { step };
}
