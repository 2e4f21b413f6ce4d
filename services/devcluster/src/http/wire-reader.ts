// Reads protobuf's wire format, field by field. Every length is checked against the bytes there are.

export interface WireReader {
  /** The next field, or undefined at the end. Its value is read or skipped before the next call. */
  next(): { readonly field: number } | undefined;
  varint(): bigint;
  /** A length-delimited value. */
  bytes(): Buffer;
  skip(): void;
}

/** `fail` makes the error that is thrown for malformed input. */
export function createWireReader(buffer: Buffer, fail: (why: string) => Error): WireReader {
  let position = 0;
  let wireType = 0;

  function readVarint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = buffer[position];
      if (byte === undefined) throw fail('it ends within a number');
      position += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw fail('a number is too long');
  }

  function take(length: number): Buffer {
    if (length > buffer.length - position) throw fail('it ends within a value');
    position += length;
    return buffer.subarray(position - length, position);
  }

  function expect(type: number): void {
    if (wireType !== type) throw fail('a value has another type than expected');
  }

  return {
    next: () => {
      if (position >= buffer.length) return undefined;
      const tag = Number(readVarint());
      wireType = tag % 8;
      return { field: Math.floor(tag / 8) };
    },
    varint: () => {
      expect(0);
      return readVarint();
    },
    bytes: () => {
      expect(2);
      return take(Number(readVarint()));
    },
    skip: () => {
      if (wireType === 0) readVarint();
      else if (wireType === 1) take(8);
      else if (wireType === 2) take(Number(readVarint()));
      else if (wireType === 5) take(4);
      else throw fail('a value of an unknown type');
    },
  };
}
