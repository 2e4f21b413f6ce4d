// A watch's bytes as its events: one JSON object a line. Pure over the byte source.
// Invariants: a line has a bound; an unfinished last line is a cut connection and is dropped; anything that is no watch event is an error.
import { KubeError, type KubeStatus } from './kube-error.js';
import type { KubeObject } from './object.js';

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: T }
  | { readonly type: 'ERROR'; readonly object: KubeStatus };

/** An etcd value is at most 1.5 MiB and JSON escapes grow it little; more than this is not an object. */
export const MAX_WATCH_LINE_BYTES = 16 * 1024 * 1024;

const NEWLINE = 0x0a;

/** Complete lines as text, empty ones left out. Throws `data_loss` for a line over `maxBytes`. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const line = chunk.subarray(start, end);
      start = end + 1;
      if (size + line.length > maxBytes) throw lineTooLong(maxBytes);
      const text = textOf([...parts, line]);
      parts = [];
      size = 0;
      if (text !== '') yield text;
    }
    size += chunk.length - start;
    if (size > maxBytes) throw lineTooLong(maxBytes);
    if (start < chunk.length) parts.push(chunk.subarray(start));
  }
}

/** The events of one watch. Throws `data_loss` for a line that is none. */
export async function* watchEventsOf<T extends KubeObject>(
  chunks: AsyncIterable<Uint8Array>,
  maxLineBytes = MAX_WATCH_LINE_BYTES,
): AsyncGenerator<WatchEvent<T>> {
  for await (const line of linesOf(chunks, maxLineBytes)) yield parseEvent<T>(line);
}

const EVENT_TYPES = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);

function parseEvent<T extends KubeObject>(line: string): WatchEvent<T> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (cause) {
    throw new KubeError('data_loss', `a watch line of ${line.length} characters is not JSON`, { httpStatus: 0, cause });
  }
  if (!isEvent(parsed)) throw new KubeError('data_loss', 'a watch line is not a watch event', { httpStatus: 0 });
  return parsed as WatchEvent<T>;
}

function isEvent(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('type' in value) || !('object' in value)) return false;
  const { type, object } = value;
  return typeof type === 'string' && EVENT_TYPES.has(type) && typeof object === 'object' && object !== null;
}

function textOf(parts: readonly Uint8Array[]): string {
  const [only] = parts;
  const bytes = parts.length === 1 && only ? only : Buffer.concat(parts);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8').trim();
}

function lineTooLong(maxBytes: number): KubeError {
  return new KubeError('data_loss', `a watch line is longer than ${maxBytes} bytes`, { httpStatus: 0 });
}
