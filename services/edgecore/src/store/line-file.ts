// The lines of a store's file: nedb's JSON with a checksum in front. Decides what state a file was left in; changes nothing.
// Invariant: a line is one line for every reader: nedb splits also at U+0085, U+2028 and U+2029, which JSON leaves as they are.
import { crc32 } from 'node:zlib';
import { SkerryError } from '@skerry/common/errors';

const CHECKSUM_LENGTH = 8;
const NEWLINE = 0x0a;

/** The document that tells who wrote the file. */
export const SCHEMA_ID = 'schema';

export type FileState =
  | { readonly kind: 'whole'; readonly schema: number | undefined }
  /** Everything after `goodBytes` is the rest of a write that never ended. */
  | { readonly kind: 'torn'; readonly goodBytes: number; readonly schema: number | undefined }
  /** Good lines follow a bad one: what was acknowledged is damaged. */
  | { readonly kind: 'corrupt'; readonly badLines: number };

export function encodeLine(json: string): string {
  const line = json.replace(/[\u0085\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return `${checksum(line)} ${line}`;
}

/** Throws `data_loss` when the checksum does not fit. */
export function decodeLine(line: string): string {
  const json = line.slice(CHECKSUM_LENGTH + 1);
  if (line[CHECKSUM_LENGTH] !== ' ' || line.slice(0, CHECKSUM_LENGTH) !== checksum(json))
    throw new SkerryError('data_loss', 'a line of the store has a wrong checksum');
  return json;
}

export function inspectFile(content: Buffer): FileState {
  let goodBytes = 0;
  let badLines = 0;
  let goodAfterBad = false;
  let schema: number | undefined;
  for (let start = 0; start < content.length; ) {
    const newline = content.indexOf(NEWLINE, start);
    const end = newline === -1 ? content.length : newline;
    const json = newline === -1 ? undefined : tryDecode(content.toString('utf8', start, end));
    if (json === undefined) badLines += 1;
    else if (badLines > 0) goodAfterBad = true;
    else {
      goodBytes = end + 1;
      schema = schemaOf(json) ?? schema;
    }
    start = end + 1;
  }
  if (badLines === 0) return { kind: 'whole', schema };
  // Nothing good at all is no torn write: the first line of a file is never torn alone.
  return goodAfterBad || goodBytes === 0 ? { kind: 'corrupt', badLines } : { kind: 'torn', goodBytes, schema };
}

function tryDecode(line: string): string | undefined {
  try {
    return decodeLine(line);
  } catch {
    return undefined;
  }
}

/** The schema's number when the line is that document. */
function schemaOf(json: string): number | undefined {
  if (!json.startsWith(`{"_id":"${SCHEMA_ID}"`)) return undefined;
  const { version } = JSON.parse(json) as { version?: unknown };
  return typeof version === 'number' ? version : undefined;
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(CHECKSUM_LENGTH, '0');
}
