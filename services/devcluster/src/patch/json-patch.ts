// JSON Patch (RFC 6902). Works on a copy; the document that was given is not changed.
import { cloneJson, equalJson, isObject, setField } from '../api/objects.js';
import { ApiError, badRequest } from '../api/status.js';

const MAX_OPERATIONS = 10_000;

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

/** Throws 400 for a malformed patch, 422 for one that does not apply. */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  if (patch.length > MAX_OPERATIONS) {
    const message = `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`;
    throw new ApiError(413, 'RequestEntityTooLarge', message);
  }
  let result = cloneJson(document);
  for (const item of patch) result = applyOperation(result, checked(item));
  return result;
}

function checked(item: unknown): Operation {
  if (!isObject(item) || typeof item['op'] !== 'string' || typeof item['path'] !== 'string') {
    throw badRequest('a JSON patch operation needs "op" and "path"');
  }
  return {
    op: item['op'],
    path: item['path'],
    value: item['value'],
    ...(typeof item['from'] === 'string' ? { from: item['from'] } : {}),
  };
}

function applyOperation(document: unknown, { op, path, from, value }: Operation): unknown {
  switch (op) {
    case 'add':
      return add(document, parse(path), cloneJson(value));
    case 'remove':
      return remove(document, parse(path));
    case 'replace':
      read(document, parse(path));
      return path === '' ? cloneJson(value) : add(remove(document, parse(path)), parse(path), cloneJson(value));
    case 'test':
      if (!equalJson(readOrNull(document, parse(path)), value ?? null)) throw failed(`testing value ${path} failed`);
      return document;
    case 'copy':
      return add(document, parse(path), cloneJson(read(document, parse(needFrom(from)))));
    case 'move': {
      const moved = read(document, parse(needFrom(from)));
      return add(remove(document, parse(needFrom(from))), parse(path), moved);
    }
    default:
      throw failed(`Unexpected kind: ${op}`);
  }
}

function needFrom(from: string | undefined): string {
  if (from === undefined) throw badRequest('a JSON patch operation of this kind needs "from"');
  return from;
}

function failed(why: string): ApiError {
  return new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${why}`, {});
}

function parse(pointer: string): string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw failed(`the path ${JSON.stringify(pointer)} does not start with "/"`);
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function read(document: unknown, path: readonly string[]): unknown {
  let current = document;
  for (const part of path) {
    if (Array.isArray(current)) current = current[indexOf(part, current.length - 1)];
    else if (isObject(current) && Object.hasOwn(current, part)) current = current[part];
    else throw failed(`the path "/${path.join('/')}" does not exist`);
  }
  return current;
}

function readOrNull(document: unknown, path: readonly string[]): unknown {
  try {
    return read(document, path);
  } catch {
    return null;
  }
}

function indexOf(part: string, max: number): number {
  const index = /^(0|[1-9]\d*)$/.test(part) ? Number(part) : -1;
  if (index < 0 || index > max) throw failed(`invalid array index "${part}"`);
  return index;
}

/** Changes `document` (our own copy) and returns it. */
function add(document: unknown, path: readonly string[], value: unknown): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(last === '-' ? parent.length : indexOf(last, parent.length), 0, value);
  else if (isObject(parent)) setField(parent, last, value);
  else throw failed(`the parent of "/${path.join('/')}" is no object or list`);
  return document;
}

function remove(document: unknown, path: readonly string[]): unknown {
  const last = path.at(-1);
  if (last === undefined) throw failed('the whole document can not be removed');
  read(document, path);
  const parent = read(document, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(indexOf(last, parent.length - 1), 1);
  else if (isObject(parent)) delete parent[last];
  return document;
}
