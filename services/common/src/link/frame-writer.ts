// Encodes the frames that links are full of (Put, Done, Chunk, Credit, plain acknowledgements) without garbage: into one scratch buffer,
// then out as one pooled copy. Everything else, and every text that is not short ASCII, is left to the generated code.
// Invariant: what it encodes is, byte for byte, what the generated code encodes.
import type { Chunk, Done, Frame, Put } from '@skerry/gen/skerry/link/v1/link';
import { MAX_MESSAGE_BYTES } from './limits.js';

/** Room for the frame's own fields, in front of the body. */
const HEAD_BYTES = 512;
const MAX_NODE_LENGTH = 253;
/** Longer numbers are left to the generated code: beyond this a sum of powers is not exact. */
const MAX_NUMBER = 2n ** 49n;

/** Numbers of the body's field in Frame. */
const FIELD = { credit: 20, chunk: 21, put: 30, done: 32 } as const;

export class FrameWriter {
  readonly #bytes = Buffer.allocUnsafe(HEAD_BYTES + MAX_MESSAGE_BYTES);
  #at = 0;
  /** Something that only the generated code handles was met. */
  #unusual = false;

  /** The encoded frame; undefined when it is not one of the usual ones. */
  encode(frame: Frame): Buffer | undefined {
    const { body } = frame;
    this.#unusual = frame.node.length > MAX_NODE_LENGTH || frame.lane < 0;
    this.#at = HEAD_BYTES;
    const field = body === undefined ? 0 : this.#body(body);
    if (field === undefined || this.#unusual) return undefined;
    const bodyEnd = this.#at;
    // What did not fit was not written.
    if (bodyEnd > this.#bytes.length) return undefined;
    this.#at = 0;
    this.#number(1, frame.seq);
    this.#number(2, frame.ack);
    this.#small(3, frame.lane);
    this.#text(4, frame.node);
    if (field !== 0) {
      this.#varint(field * 8 + 2);
      this.#varint(bodyEnd - HEAD_BYTES);
    }
    if (this.#unusual) return undefined;
    const head = this.#at;
    const out = Buffer.allocUnsafe(head + bodyEnd - HEAD_BYTES);
    this.#bytes.copy(out, 0, 0, head);
    this.#bytes.copy(out, head, HEAD_BYTES, bodyEnd);
    return out;
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
    if (this.#at + value.length <= this.#bytes.length) this.#bytes.set(value, this.#at);
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
