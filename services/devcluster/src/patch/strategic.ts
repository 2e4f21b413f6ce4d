// Strategic merge patch: a merge patch that knows, from the schema, which lists merge by key. Neither argument is changed.
// Directives: `$patch: replace|delete|merge`, `$retainKeys`, `$deleteFromPrimitiveList/F`, `$setElementOrder/F`.
import { cloneJson, equalJson, isObject, type JsonObject, own, setField, showValue } from '../api/objects.js';
import { badRequest } from '../api/status.js';
import { type Definitions, resolveRef, type Schema } from '../schema/types.js';

const DELETE_FROM = '$deleteFromPrimitiveList/';
const SET_ORDER = '$setElementOrder/';

/** Throws 400 for a malformed patch. */
export function applyStrategicPatch(
  document: JsonObject,
  patch: JsonObject,
  schema: Schema,
  definitions: Definitions,
): JsonObject {
  return mergeObject(document, patch, schema, definitions);
}

function mergeObject(original: JsonObject, patch: JsonObject, ref: Schema, definitions: Definitions): JsonObject {
  const schema = resolveRef(ref, definitions);
  const directive = patch['$patch'];
  if (directive === 'delete') return {};
  if (directive === 'replace') return withoutDirectives(patch);
  if (directive !== undefined && directive !== 'merge') throw badRequest(`unknown patch type: ${showValue(directive)}`);

  const result: JsonObject = { ...original };
  retainKeys(result, patch['$retainKeys']);
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(DELETE_FROM)) deleteScalars(result, key.slice(DELETE_FROM.length), value);
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue;
    if (value === null) delete result[key];
    else {
      const order = patch[`${SET_ORDER}${key}`];
      setField(result, key, mergeField(own(result, key), value, fieldSchema(schema, key), definitions, order));
    }
  }
  for (const [key, order] of Object.entries(patch)) {
    // An order alone, without a change of the list's entries.
    const field = key.startsWith(SET_ORDER) ? key.slice(SET_ORDER.length) : '';
    if (field === '' || Object.hasOwn(patch, field)) continue;
    const list = own(result, field);
    const mergeKey = fieldSchema(schema, field)['x-kubernetes-patch-merge-key'] ?? '';
    if (Array.isArray(list) && Array.isArray(order)) setField(result, field, inOrder(list, list, order, mergeKey));
  }
  return result;
}

function fieldSchema(schema: Schema, key: string): Schema {
  if (schema.properties && Object.hasOwn(schema.properties, key)) return schema.properties[key] ?? {};
  return typeof schema.additionalProperties === 'object' ? schema.additionalProperties : {};
}

function mergeField(
  original: unknown,
  patch: unknown,
  schema: Schema,
  definitions: Definitions,
  order: unknown,
): unknown {
  if (isObject(patch)) return mergeObject(isObject(original) ? original : {}, patch, schema, definitions);
  if (!Array.isArray(patch) || !schema['x-kubernetes-patch-strategy']?.startsWith('merge')) return cloneJson(patch);
  const before = Array.isArray(original) ? original : [];
  const mergeKey = schema['x-kubernetes-patch-merge-key'] ?? '';
  const merged =
    mergeKey === ''
      ? mergeScalars(before, patch)
      : mergeEntries(before, patch, mergeKey, schema.items ?? {}, definitions);
  return Array.isArray(order) ? inOrder(merged, before, order, mergeKey) : merged;
}

function retainKeys(object: JsonObject, keys: unknown): void {
  if (keys === undefined) return;
  if (!Array.isArray(keys)) throw badRequest('$retainKeys must be a list');
  for (const key of Object.keys(object)) if (!keys.includes(key)) delete object[key];
}

function deleteScalars(object: JsonObject, field: string, values: unknown): void {
  const list = own(object, field);
  if (Array.isArray(list) && Array.isArray(values))
    setField(
      object,
      field,
      list.filter((item) => !values.includes(item)),
    );
}

function mergeScalars(before: readonly unknown[], patch: readonly unknown[]): unknown[] {
  return [...before, ...patch.filter((item) => !before.includes(item))];
}

function mergeEntries(
  before: readonly unknown[],
  patch: readonly unknown[],
  mergeKey: string,
  schema: Schema,
  definitions: Definitions,
): unknown[] {
  const entries = patch.filter(isObject);
  if (entries.some((entry) => entry['$patch'] === 'replace')) {
    return entries.filter((entry) => entry['$patch'] !== 'replace').map(withoutDirectives);
  }
  let result = [...before];
  for (const entry of entries) {
    const id = own(entry, mergeKey);
    if (id === undefined)
      throw badRequest(`map: ${JSON.stringify(entry)} does not contain declared merge key: ${mergeKey}`);
    const isSame = (item: unknown): boolean => isObject(item) && equalJson(own(item, mergeKey), id);
    if (entry['$patch'] === 'delete') {
      result = result.filter((item) => !isSame(item));
      continue;
    }
    const index = result.findIndex(isSame);
    const found = result[index];
    const merged = mergeObject(isObject(found) ? found : {}, entry, schema, definitions);
    if (index >= 0) result[index] = merged;
    else result.push(merged);
  }
  return result;
}

/** Entries named in `order` take that order; the others keep their place relative to their neighbours of before. */
function inOrder(
  merged: readonly unknown[],
  before: readonly unknown[],
  order: readonly unknown[],
  mergeKey: string,
): unknown[] {
  const idOf = (item: unknown): string => JSON.stringify(mergeKey !== '' && isObject(item) ? item[mergeKey] : item);
  const wanted = order.map(idOf);
  const old = before.map(idOf);
  const named = merged.filter((item) => wanted.includes(idOf(item)));
  named.sort((a, b) => wanted.indexOf(idOf(a)) - wanted.indexOf(idOf(b)));
  const others = merged.filter((item) => !wanted.includes(idOf(item)));
  const result: unknown[] = [];
  for (const item of named) {
    const place = old.indexOf(idOf(item));
    while (others.length > 0 && place >= 0 && old.indexOf(idOf(others[0])) < place) result.push(others.shift());
    result.push(item);
  }
  return [...result, ...others];
}

function withoutDirectives(patch: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$') || value === null) continue;
    setField(result, key, isObject(value) ? withoutDirectives(value) : cloneJson(value));
  }
  return result;
}
