// Encodes the frames that links are full of (Put, Done, Chunk, Credit, plain acknowledgements) without garbage: straight into a slab that
// many frames share. Everything else, and every text that is not ASCII, is left to the generated code.
// Invariant: what it encodes is, byte for byte, what the generated code encodes; bytes that were handed out are never written again.
import type { Chunk, Done, Frame, Put } from '@skerry/gen/skerry/link/v1/link';
import { encodedBound } from './cost.js';
import { MAX_MESSAGE_BYTES } from './limits.js';

const SLAB_BYTES = 2 * MAX_MESSAGE_BYTES;
/** The most that seq, ack, lane and the tag and length of the body take; a node takes its length and three. */
const HEAD_BYTES = 32;
const NODE_BYTES = 3;
/** Longer numbers are left to the generated code: beyond this a sum of powers is not exact. */
const MAX_NUMBER = 2n ** 49n;

/** Numbers of the body's field in Frame. */
const FIELD = { credit: 20, chunk: 21, put: 30, done: 32 } as const;

export class FrameWriter {
  #bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #at = 0;
  /** Something that only the generated code handles was met. */
  #unusual = false;

  /** The encoded frame; undefined when it is not one of the usual ones. */
  encode(frame: Frame): Buffer | undefined {
    const { body, node } = frame;
    const bound = HEAD_BYTES + NODE_BYTES + 3 * node.length + (body === undefined ? 0 : encodedBound(body));
    if (bound > MAX_MESSAGE_BYTES || frame.lane < 0) return undefined;
    if (this.#at + bound > SLAB_BYTES) {
      this.#bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#at = 0;
    }
    this.#unusual = false;
    const slabAt = this.#at;
    // The body first: the head in front of it holds its length.
    const bodyAt = slabAt + HEAD_BYTES + NODE_BYTES + node.length;
    this.#at = bodyAt;
    const field = body === undefined ? 0 : this.#body(body);
    const end = this.#at;
    const start = field === undefined ? slabAt : this.#head(frame, field, bodyAt, end);
    this.#at = this.#unusual ? slabAt : end;
    return field === undefined || this.#unusual ? undefined : this.#bytes.subarray(start, end);
  }

  /** Writes the frame's own fields so that they end where the body begins; returns where they begin. */
  #head(frame: Frame, field: number, bodyAt: number, end: number): number {
    const { seq, ack, lane, node } = frame;
    const length = end - bodyAt;
    const start =
      bodyAt -
      (seq === 0n ? 0 : 1 + varintSize(Number(seq))) -
      (ack === 0n ? 0 : 1 + varintSize(Number(ack))) -
      (lane === 0 ? 0 : 1 + varintSize(lane)) -
      (node === '' ? 0 : 1 + varintSize(node.length) + node.length) -
      (field === 0 ? 0 : 2 + varintSize(length));
    this.#at = start;
    this.#number(1, seq);
    this.#number(2, ack);
    this.#small(3, lane);
    this.#text(4, node);
    if (field !== 0) {
      this.#varint(field * 8 + 2);
      this.#varint(length);
    }
    return start;
  }

  /** Writes the body's fields; returns the body's own number in the frame. */
  #body(body: NonNullable<Frame['body']>): number | undefined {
    switch (body.$case) {
      case 'put':
        this.#put(body.value);
        return FIELD.put;
      case 'done':
        this.#done(body.value);
        return FIELD.done;
      case 'chunk':
        this.#chunk(body.value);
        return FIELD.chunk;
      case 'credit':
        this.#small(1, body.value.bytes);
        return FIELD.credit;
      default:
        return undefined;
    }
  }

  #put(put: Put): void {
    this.#text(1, put.key);
    this.#text(2, put.version);
    this.#data(3, put.payload);
    this.#flag(4, put.absent);
    for (const reference of put.references) this.#text(5, reference, true);
    this.#number(6, put.shardEpoch);
    this.#text(7, put.encoding);
  }

  #done(done: Done): void {
    this.#text(1, done.key);
    this.#text(2, done.version);
    this.#small(3, done.outcome);
    this.#text(4, done.code);
    this.#text(5, done.reason);
  }

  #chunk(chunk: Chunk): void {
    this.#data(1, chunk.data);
    this.#flag(2, chunk.last);
  }

  #number(field: number, value: bigint): void {
    if (value === 0n) return;
    if (value < 0n || value >= MAX_NUMBER) this.#unusual = true;
    this.#bytes[this.#at++] = field * 8;
    this.#varint(Number(value));
  }

  #small(field: number, value: number): void {
    if (value === 0) return;
    if (value < 0) this.#unusual = true;
    this.#bytes[this.#at++] = field * 8;
    this.#varint(value);
  }

  #flag(field: number, value: boolean): void {
    if (!value) return;
    this.#bytes[this.#at++] = field * 8;
    this.#bytes[this.#at++] = 1;
  }

  #data(field: number, value: Uint8Array): void {
    if (value.length === 0) return;
    this.#bytes[this.#at++] = field * 8 + 2;
    this.#varint(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** An empty text is written only as an element of a list. */
  #text(field: number, value: string, element = false): void {
    const { length } = value;
    if (length === 0 && !element) return;
    const bytes = this.#bytes;
    bytes[this.#at++] = field * 8 + 2;
    this.#varint(length);
    let at = this.#at;
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 0x7f) this.#unusual = true;
      bytes[at++] = unit;
    }
    this.#at = at;
  }

  #varint(value: number): void {
    const bytes = this.#bytes;
    let left = value;
    for (; left > 0x7f; left = Math.floor(left / 0x80)) bytes[this.#at++] = (left % 0x80) + 0x80;
    bytes[this.#at++] = left;
  }
}

function varintSize(value: number): number {
  let size = 1;
  for (let left = value; left > 0x7f; left = Math.floor(left / 0x80)) size++;
  return size;
}
