// What the link carries of an entry; the sender asks before it sends, so that one entry too large never ends a connection.
import { Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import { MAX_KEY_LENGTH, MAX_PAYLOAD_BYTES, MAX_REFERENCES, MAX_VERSION_LENGTH } from './limits.js';
import type { Entry, Settlement } from './types.js';

/** Why an entry cannot travel, as a settlement. */
export function unfitness(key: string, entry: Entry): Settlement | undefined {
  const rejectedWith = (code: string, reason: string): Settlement => ({
    outcome: Done_Outcome.OUTCOME_REJECTED,
    code,
    reason,
  });
  if (key.length > MAX_KEY_LENGTH || entry.version.length > MAX_VERSION_LENGTH)
    return rejectedWith('KeyTooLong', `keys end at ${MAX_KEY_LENGTH} and versions at ${MAX_VERSION_LENGTH} characters`);
  if (entry.payload.length > MAX_PAYLOAD_BYTES)
    return rejectedWith('TooLarge', `${entry.payload.length} bytes are over the link's ${MAX_PAYLOAD_BYTES}`);
  if (entry.references.length > MAX_REFERENCES)
    return rejectedWith('TooManyReferences', `${entry.references.length} are over the link's ${MAX_REFERENCES}`);
  return undefined;
}
