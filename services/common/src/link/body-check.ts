// What a received body must keep to before anything is done with it. A hostile peer is stopped here, before it costs memory.
import {
  INVENTORY_PAGE,
  MAX_KEY_LENGTH,
  MAX_KINDS,
  MAX_PAYLOAD_BYTES,
  MAX_REFERENCES,
  MAX_TEXT_LENGTH,
  MAX_VERSION_LENGTH,
} from './limits.js';
import type { Body } from './types.js';

/** What is wrong with a body, or undefined. */
export function bodyProblem(body: Body): string | undefined {
  switch (body.$case) {
    case 'put':
      return (
        keyProblem(body.value) ??
        payloadProblem(body.value.payload) ??
        (body.value.references.length > MAX_REFERENCES
          ? `an entry has more than ${MAX_REFERENCES} references`
          : undefined)
      );
    case 'delete':
      return keyProblem(body.value);
    case 'done':
      return (
        keyProblem(body.value) ??
        (body.value.code.length > MAX_TEXT_LENGTH || body.value.reason.length > MAX_TEXT_LENGTH
          ? `a text of Done is longer than ${MAX_TEXT_LENGTH}`
          : undefined)
      );
    case 'digest':
      return body.value.kinds.length > MAX_KINDS ? `a digest has more than ${MAX_KINDS} kinds` : undefined;
    case 'inventoryRequest':
      return body.value.kinds.length > MAX_KINDS || body.value.after.length > MAX_KEY_LENGTH
        ? 'an inventory request is too long'
        : undefined;
    case 'inventory':
      return body.value.entries.length > INVENTORY_PAGE
        ? `an inventory page has more than ${INVENTORY_PAGE} keys`
        : body.value.entries.map(keyProblem).find((problem) => problem !== undefined);
    case 'logEntries':
      return body.value.entries.map(({ payload }) => payloadProblem(payload)).find((problem) => problem !== undefined);
    case 'callRequest':
    case 'callData':
    case 'callEnd':
      return payloadProblem(body.value.payload);
    default:
      return undefined;
  }
}

function keyProblem({ key, version }: { readonly key: string; readonly version: string }): string | undefined {
  if (key === '' || key.length > MAX_KEY_LENGTH) return `a key is empty or longer than ${MAX_KEY_LENGTH}`;
  if (version.length > MAX_VERSION_LENGTH) return `a version is longer than ${MAX_VERSION_LENGTH}`;
  return undefined;
}

function payloadProblem(payload: Uint8Array): string | undefined {
  return payload.length > MAX_PAYLOAD_BYTES ? `a payload is over ${MAX_PAYLOAD_BYTES} bytes` : undefined;
}
