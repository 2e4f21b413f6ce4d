// The form of a document inside nedb: short field names, text where the payload is text, Secrets sealed.
// Invariant: decode(encode(x)) equals x; what was not made by encode is an error, never a guess.

import { SkerryError } from '@skerry/common/errors';
import { kindOf } from '@skerry/common/keys';
import type { Sealer } from './seal.js';
import type { Document } from './types.js';

export interface NedbDocument {
  readonly _id: string;
  /** A record's value. */
  readonly value?: string;
  /** An entry's version. */
  readonly v?: string;
  /** Payload as text, in base64, or sealed and in base64: one of the three. */
  readonly t?: string;
  readonly b?: string;
  readonly s?: string;
  readonly absent?: boolean;
  readonly refs?: readonly string[];
}

type StoredDocument = Document & { readonly body: NonNullable<Document['body']> };

export function encodeDocument({ id, body }: StoredDocument, sealer: Sealer): NedbDocument {
  if (body.kind === 'record') return { _id: id, value: body.value };
  const { version, payload, absent, references } = body.entry;
  return {
    _id: id,
    v: version,
    ...encodePayload(id, version, payload, sealer),
    ...(absent ? { absent } : {}),
    ...(references.length > 0 ? { refs: references } : {}),
  };
}

/** Throws `data_loss` for anything that `encodeDocument` does not make, and for what the sealer cannot open. */
export function decodeDocument(document: NedbDocument, sealer: Sealer): StoredDocument {
  const { _id: id, value, v: version } = document;
  if (value !== undefined) return { id, body: { kind: 'record', value } };
  if (version === undefined)
    throw new SkerryError('data_loss', `the store's document ${id.slice(0, 300)} is incomplete`);
  const entry = {
    version,
    payload: decodePayload(document, version, sealer),
    absent: document.absent ?? false,
    references: document.refs ?? [],
  };
  return { id, body: { kind: 'entry', entry } };
}

function encodePayload(
  id: string,
  version: string,
  payload: Uint8Array,
  sealer: Sealer,
): Pick<NedbDocument, 't' | 'b' | 's'> {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (isSecret(id)) return { s: Buffer.from(sealer.seal(bytes, placeOf(id, version))).toString('base64') };
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? { t: text } : { b: bytes.toString('base64') };
}

function decodePayload({ _id: id, t, b, s }: NedbDocument, version: string, sealer: Sealer): Uint8Array {
  if (t !== undefined) return Buffer.from(t, 'utf8');
  if (b !== undefined) return Buffer.from(b, 'base64');
  if (s !== undefined) return sealer.open(Buffer.from(s, 'base64'), placeOf(id, version));
  throw new SkerryError('data_loss', `the store's document ${id.slice(0, 300)} has no payload`);
}

function isSecret(id: string): boolean {
  return kindOf(id.slice(id.indexOf(':') + 1)) === 'secret';
}

function placeOf(id: string, version: string): string {
  return `${id}\0${version}`;
}
