// The durable store's unit on disk: one nedb document, one line.
import { crc32 } from 'node:zlib';

/** Short names, because every line repeats them. */
export interface StoredDocument {
  /** A number that rises with every put: of two documents of a key the higher one counts. */
  readonly _id: string;
  readonly k: string;
  readonly v: string;
  /** CRC-32 of key and value. */
  readonly c: number;
}

/** nedb's mark of a removed document. */
interface Removal {
  readonly _id: string;
  readonly $$deleted: true;
}

export function documentOf(number: number, key: string, value: string): StoredDocument {
  return { _id: String(number), k: key, v: value, c: checksum(key, value) };
}

/** True when a line of the file is a whole document or a removal. */
export function isIntact(line: string): boolean {
  try {
    const { _id, k, v, c, $$deleted } = JSON.parse(line) as Partial<StoredDocument & Removal>;
    if (typeof _id !== 'string') return false;
    if ($$deleted === true) return true;
    return typeof k === 'string' && typeof v === 'string' && c === checksum(k, v);
  } catch {
    return false;
  }
}

function checksum(key: string, value: string): number {
  return crc32(value, crc32(`${key}\n`));
}
