// Decodes the frames that links are full of (Put, Done, Chunk, Credit, plain acknowledgements) without copies: payloads are views of the
// message. Whatever else comes, unknown fields and malformed bytes among it, is left to the generated code.
// Invariant: what it decodes is what the generated code decodes; it never reads past the message.
import type { Chunk, Credit, Done, Frame, Put } from '@skerry/gen/skerry/link/v1/link';

type Body = NonNullable<Frame['body']>;

const NO_BYTES = Buffer.alloc(0);
/** Longer numbers are left to the generated code. */
const MAX_VARINT_BYTES = 7;
/** What does not fit a field's 32 bits is cut by rules of its own. */
const MAX_SMALL = 2 ** 31 - 1;

/** Tags: field number * 8 + wire type (0 number, 2 bytes). */
const TAG = { credit: 162, chunk: 170, put: 242, done: 258 } as const;

export class FrameReader {
  #bytes: Buffer = NO_BYTES;
  #at = 0;
  #end = 0;
  /** Something that only the generated code handles was met. */
  #unusual = false;

  /** The frame; undefined when it is not one of the usual ones. */
  decode(bytes: Buffer): Frame | undefined {
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = bytes.length;
    this.#unusual = false;
    const frame = this.#frame();
    this.#bytes = NO_BYTES;
    return this.#unusual ? undefined : frame;
  }

  #frame(): Frame {
    const frame: Frame = { seq: 0n, ack: 0n, lane: 0, node: '', body: undefined };
    while (this.#more(this.#end)) {
      const tag = this.#varint();
      if (tag === 8) frame.seq = BigInt(this.#varint());
      else if (tag === 16) frame.ack = BigInt(this.#varint());
      else if (tag === 24) frame.lane = this.#small();
      else if (tag === 34) frame.node = this.#text();
      else frame.body = this.#body(tag);
    }
    return frame;
  }

  #body(tag: number): Body | undefined {
    switch (tag) {
      case TAG.put:
        return { $case: 'put', value: this.#put(this.#until()) };
      case TAG.done:
        return { $case: 'done', value: this.#done(this.#until()) };
      case TAG.chunk:
        return { $case: 'chunk', value: this.#chunk(this.#until()) };
      case TAG.credit:
        return { $case: 'credit', value: this.#credit(this.#until()) };
      default:
        this.#unusual = true;
        return undefined;
    }
  }

  #put(end: number): Put {
    const put: Put = {
      key: '',
      version: '',
      payload: NO_BYTES,
      absent: false,
      references: [],
      shardEpoch: 0n,
      encoding: '',
    };
    while (this.#more(end)) {
      const tag = this.#varint();
      if (tag === 10) put.key = this.#text();
      else if (tag === 18) put.version = this.#text();
      else if (tag === 26) put.payload = this.#data();
      else if (tag === 32) put.absent = this.#small() !== 0;
      else if (tag === 42) put.references.push(this.#text());
      else if (tag === 48) put.shardEpoch = BigInt(this.#varint());
      else if (tag === 58) put.encoding = this.#text();
      else this.#unusual = true;
    }
    return put;
  }

  #done(end: number): Done {
    const done: Done = { key: '', version: '', outcome: 0, code: '', reason: '' };
    while (this.#more(end)) {
      const tag = this.#varint();
      if (tag === 10) done.key = this.#text();
      else if (tag === 18) done.version = this.#text();
      else if (tag === 24) done.outcome = this.#small();
      else if (tag === 34) done.code = this.#text();
      else if (tag === 42) done.reason = this.#text();
      else this.#unusual = true;
    }
    return done;
  }

  #chunk(end: number): Chunk {
    const chunk: Chunk = { data: NO_BYTES, last: false };
    while (this.#more(end)) {
      const tag = this.#varint();
      if (tag === 10) chunk.data = this.#data();
      else if (tag === 16) chunk.last = this.#small() !== 0;
      else this.#unusual = true;
    }
    return chunk;
  }

  #credit(end: number): Credit {
    const credit: Credit = { bytes: 0 };
    while (this.#more(end)) {
      if (this.#varint() === 8) credit.bytes = this.#small();
      else this.#unusual = true;
    }
    return credit;
  }

  /** True until the message that ends at `end` is read, or something unusual was met. */
  #more(end: number): boolean {
    if (this.#at > end) this.#unusual = true;
    return !this.#unusual && this.#at < end;
  }

  /** The end of the length-delimited field that begins here. */
  #until(): number {
    const length = this.#varint();
    const end = this.#at + length;
    if (end > this.#end) this.#unusual = true;
    return end;
  }

  #data(): Buffer {
    const end = this.#until();
    const data = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return data;
  }

  #text(): string {
    const end = this.#until();
    if (this.#unusual) return '';
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end;
    return text;
  }

  /** A number of a field of 32 bits. */
  #small(): number {
    const value = this.#varint();
    if (value > MAX_SMALL) this.#unusual = true;
    return value;
  }

  #varint(): number {
    const bytes = this.#bytes;
    let value = 0;
    let unit = 1;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = bytes[this.#at++];
      // Past the end of the message.
      if (byte === undefined) break;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
      unit *= 0x80;
    }
    this.#unusual = true;
    return 0;
  }
}
