// What a frame costs of a lane's credit. Both ends and the hub count alike, so the rule is part of the contract:
// 64, plus the lengths of all keys, versions and other texts in UTF-16 units, plus the bytes of all payloads.
// Invariant: computed from the decoded frame without encoding it, in time proportional to its number of fields.
import type { Body } from './types.js';

const BASE = 64;

/** Cost of one frame in bytes. Credit and the frames of the control lane cost only the base, and no credit. */
export function frameCost(body: Body): number {
  switch (body.$case) {
    case 'put':
      return putCost(body.value);
    case 'delete':
      return BASE + body.value.key.length + body.value.version.length;
    case 'done':
      return (
        BASE + body.value.key.length + body.value.version.length + body.value.code.length + body.value.reason.length
      );
    case 'chunk':
      return BASE + body.value.data.length;
    case 'digest':
      return body.value.kinds.reduce((sum, kind) => sum + BASE + kind.kind.length, BASE);
    case 'inventoryRequest':
      return body.value.kinds.reduce((sum, kind) => sum + kind.length, BASE + body.value.after.length);
    case 'inventory':
      return body.value.entries.reduce((sum, entry) => sum + entry.key.length + entry.version.length, BASE);
    case 'logEntries':
      return body.value.entries.reduce(
        (sum, entry) => sum + entry.payload.length,
        BASE + body.value.stream.length + body.value.epoch.length,
      );
    case 'doneThrough':
      return BASE + body.value.stream.length + body.value.epoch.length;
    case 'callRequest':
      return BASE + body.value.method.length + body.value.payload.length;
    case 'callData':
      return BASE + body.value.payload.length;
    case 'callEnd':
      return BASE + body.value.message.length + body.value.payload.length;
    default:
      return BASE;
  }
}

function putCost(put: Extract<Body, { $case: 'put' }>['value']): number {
  let cost = BASE + put.key.length + put.version.length + put.payload.length;
  for (const reference of put.references) cost += reference.length;
  return cost;
}

/** An upper bound of the body's encoded length, to decide cheaply whether it may need chunks. */
export function encodedBound(body: Body): number {
  // A UTF-16 unit takes at most three bytes; numbers, tags and lengths of one element fit the slack.
  const slack = 128;
  switch (body.$case) {
    case 'put':
      return (
        slack +
        body.value.payload.length +
        3 * (frameCost(body) - body.value.payload.length) +
        8 * body.value.references.length
      );
    case 'inventory':
      return slack + 3 * frameCost(body) + 16 * body.value.entries.length;
    case 'logEntries':
      return (
        slack +
        3 * BASE +
        frameCost(body) +
        2 * (body.value.stream.length + body.value.epoch.length) +
        48 * body.value.entries.length
      );
    case 'callRequest':
      return slack + 3 * (BASE + body.value.method.length) + body.value.payload.length;
    case 'callData':
      return slack + body.value.payload.length;
    case 'callEnd':
      return slack + 3 * (BASE + body.value.message.length) + body.value.payload.length;
    default:
      return slack + 3 * frameCost(body);
  }
}
