// JSON Merge Patch (RFC 7386). Neither argument is changed.
import { cloneJson, isObject, type JsonObject, own, setField } from '../api/objects.js';

export function applyMergePatch(document: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return cloneJson(patch);
  const result: JsonObject = isObject(document) ? { ...document } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else setField(result, key, applyMergePatch(own(result, key), value));
  }
  return result;
}
