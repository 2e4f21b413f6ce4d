// JSON text from the edge, taken in with suspicion.
// Invariant: what is returned is a JSON object; its members are unknown until somebody looks.
import { messageOf, SkerryError } from '../errors.js';

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Throws `invalid_argument`, naming `what`, for anything but the text of a JSON object. */
export function parseJsonObject(payload: Uint8Array, what: string): JsonObject {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'));
  } catch (error) {
    throw new SkerryError('invalid_argument', `${what} is not JSON: ${messageOf(error)}`);
  }
  if (!isJsonObject(parsed)) throw new SkerryError('invalid_argument', `${what} is not a JSON object`);
  return parsed;
}

/** The member as an object; an empty one when it is missing. Throws `invalid_argument` when it is something else. */
export function objectMember(object: JsonObject, name: string, what: string): JsonObject {
  const value = object[name] ?? {};
  if (!isJsonObject(value)) throw new SkerryError('invalid_argument', `${what}: ${name} is not an object`);
  return value;
}

/** The members that are texts; others are left out. */
export function textMembers(object: JsonObject): Record<string, string> {
  return Object.fromEntries(
    Object.entries(object).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
