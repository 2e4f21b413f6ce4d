// The framing of journal and snapshot files: length, CRC of the payload, CRC of these 8 bytes, payload.
// Invariants: a frame that was cut off by a crash is told from one that was damaged later: only the last may be torn, and a damaged length
// can not pass for a torn tail, because the header has a CRC of its own.
import { crc32 } from 'node:zlib';

const HEADER_BYTES = 12;

export function encodeFrame(payload: string): Buffer {
  const bytes = Buffer.byteLength(payload);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  frame.write(payload, HEADER_BYTES);
  frame.writeUInt32LE(bytes, 0);
  frame.writeUInt32LE(crc32(frame.subarray(HEADER_BYTES)), 4);
  frame.writeUInt32LE(crc32(frame.subarray(0, 8)), 8);
  return frame;
}

export type ReadFrame =
  | { readonly kind: 'frame'; readonly payload: string; readonly end: number }
  | { readonly kind: 'end' }
  /** Incomplete, as a crash during the last write leaves it: everything from here on was never acknowledged. */
  | { readonly kind: 'torn' }
  | { readonly kind: 'corrupt'; readonly why: string };

/** Reads the frame at `offset`. */
export function readFrame(file: Buffer, offset: number): ReadFrame {
  const left = file.length - offset;
  if (left === 0) return { kind: 'end' };
  if (left < HEADER_BYTES) return { kind: 'torn' };
  if (file.readUInt32LE(offset + 8) !== crc32(file.subarray(offset, offset + 8))) {
    // File systems may extend a file before its data arrives: then the rest is zeros.
    return isZero(file.subarray(offset))
      ? { kind: 'torn' }
      : { kind: 'corrupt', why: 'the header has a wrong checksum' };
  }
  const start = offset + HEADER_BYTES;
  const end = start + file.readUInt32LE(offset);
  if (end > file.length) return { kind: 'torn' };
  const payload = file.subarray(start, end);
  if (crc32(payload) !== file.readUInt32LE(offset + 4)) {
    return end === file.length ? { kind: 'torn' } : { kind: 'corrupt', why: 'the payload has a wrong checksum' };
  }
  return { kind: 'frame', payload: payload.toString('utf8'), end };
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}
