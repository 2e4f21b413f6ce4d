// Reads the JSON of KubeEdge's MQTT requests, strictly: what does not have the documented shape is answered, never guessed.
// Invariant: the request's event_id is found wherever the body is JSON with one, so that a refusal reaches the client that waits for it.
import { messageOf } from '@skerry/common/errors';
import type { ExchangeRequest, TwinPatch } from '@skerry/gen/skerry/edge/v1/twin';
import type { Asked } from './topics.js';

export type RequestBody = NonNullable<ExchangeRequest['request']>;

export type ParsedRequest =
  | { readonly kind: 'request'; readonly eventId: string; readonly body: RequestBody }
  | { readonly kind: 'refused'; readonly eventId: string; readonly code: 400 | 413; readonly reason: string };

/** Bytes of a request's payload. */
export const MAX_PAYLOAD = 512 * 1024;
const MAX_EVENT_ID = 1_024;
/** Fields of these names are JavaScript's own: no map of a protobuf message can carry them. */
const RESERVED_KEY = '__proto__';

type Json = Readonly<Record<string, unknown>>;

/** What is wrong with a body; caught in this file. */
class Malformed extends Error {}

export function parseRequest(asked: Asked | 'membership/get', payload: Uint8Array): ParsedRequest {
  if (payload.byteLength > MAX_PAYLOAD) {
    return { kind: 'refused', eventId: '', code: 413, reason: `${payload.byteLength} bytes: at most ${MAX_PAYLOAD}` };
  }
  let eventId = '';
  try {
    const base = parseObject(payload);
    eventId = parseEventId(base);
    return { kind: 'request', eventId, body: parseBody(asked, base) };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return { kind: 'refused', eventId, code: 400, reason: error.message };
  }
}

function parseObject(payload: Uint8Array): Json {
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch (error) {
    throw new Malformed(`the body is not JSON in UTF-8: ${messageOf(error).slice(0, 200)}`);
  }
  return object(content, 'the body');
}

/** The timestamp is checked and not used: values get the node's time. */
function parseEventId(base: Json): string {
  const eventId = base['event_id'] ?? '';
  if (typeof eventId !== 'string') throw new Malformed('event_id is not a string');
  if (eventId.length > MAX_EVENT_ID) throw new Malformed(`event_id is longer than ${MAX_EVENT_ID} characters`);
  return eventId;
}

function parseBody(asked: Asked | 'membership/get', base: Json): RequestBody {
  checkTimestamp(base['timestamp'], 'timestamp');
  switch (asked) {
    case 'twin/update':
      return { $case: 'twinUpdate', value: { twins: parseTwins(base['twin']) } };
    case 'twin/get':
      return { $case: 'twinGet', value: {} };
    case 'state/update':
      return { $case: 'stateUpdate', value: { state: text(base['state'], 'state') } };
    case 'membership/get':
      return { $case: 'membershipGet', value: {} };
  }
}

function parseTwins(twin: unknown): Record<string, TwinPatch> {
  if (twin === undefined || twin === null) throw new Malformed('twin is missing');
  const twins: Record<string, TwinPatch> = {};
  for (const [name, patch] of Object.entries(object(twin, 'twin'))) {
    if (name === RESERVED_KEY) throw new Malformed(`"${RESERVED_KEY}" cannot be a property's name`);
    twins[name] = patch === null ? { remove: true } : parsePatch(patch, `twin "${name.slice(0, 140)}"`);
  }
  return twins;
}

/** Versions (`expected_version`, `actual_version`) are the node's: a client's are ignored. */
function parsePatch(patch: unknown, where: string): TwinPatch {
  const { expected, actual, optional, metadata } = object(patch, where);
  const type = optionalObject(metadata, `metadata of ${where}`)?.['type'];
  return {
    remove: false,
    expected: parseValue(expected, `expected of ${where}`),
    actual: parseValue(actual, `actual of ${where}`),
    optional: optional === undefined || optional === null ? undefined : bool(optional, `optional of ${where}`),
    type: type === undefined || type === null ? undefined : text(type, `metadata.type of ${where}`),
  };
}

/** A side without a value says nothing. */
function parseValue(side: unknown, where: string): string | undefined {
  const content = optionalObject(side, where);
  if (!content) return undefined;
  checkTimestamp(optionalObject(content['metadata'], `metadata of ${where}`)?.['timestamp'], `timestamp of ${where}`);
  const value = content['value'];
  return value === undefined || value === null ? undefined : text(value, `value of ${where}`);
}

function object(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Malformed(`${what} is not a JSON object`);
  return value as Json;
}

function optionalObject(value: unknown, what: string): Json | undefined {
  return value === undefined || value === null ? undefined : object(value, what);
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new Malformed(`${what} is not a string`);
  return value;
}

function bool(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw new Malformed(`${what} is neither true nor false`);
  return value;
}

function checkTimestamp(value: unknown, what: string): void {
  if (value !== undefined && value !== null && typeof value !== 'number')
    throw new Malformed(`${what} is not a number`);
}
