// OpenAPI v3 documents, one for each group and version: what kubectl needs to validate, to explain and to build patches.
import { createHash } from 'node:crypto';
import type { JsonObject } from '../api/objects.js';
import type { Registry } from '../registry/registry.js';
import type { ResourceType } from '../registry/types.js';
import { BUILTIN } from '../schema/builtin.js';
import { REF_PREFIX, type Schema } from '../schema/types.js';

export interface OpenApi {
  /** The answer for `/openapi/v3` and below, as JSON text; undefined for an unknown path. */
  document(path: string): string | undefined;
}

export function createOpenApi(registry: Registry): OpenApi {
  let cached = new Map<string, string>();
  let generation = -1;

  function documents(): Map<string, string> {
    if (generation !== registry.generation()) {
      cached = new Map();
      generation = registry.generation();
    }
    return cached;
  }

  function cache(path: string, make: () => JsonObject | undefined): string | undefined {
    const known = documents().get(path);
    if (known !== undefined) return known;
    const made = make();
    if (made === undefined) return undefined;
    const text = JSON.stringify(made);
    documents().set(path, text);
    return text;
  }

  return {
    document: (path) => {
      if (path === '/openapi/v3') return cache(path, () => index(registry));
      const name = path.replace(/^\/openapi\/v3\//, '');
      return cache(name, () => groupDocument(registry.all().filter((type) => pathOf(type) === name)));
    },
  };
}

function pathOf(type: ResourceType): string {
  return type.group === '' ? `api/${type.version}` : `apis/${type.group}/${type.version}`;
}

function index(registry: Registry): JsonObject {
  const paths: JsonObject = {};
  for (const path of new Set(registry.all().map(pathOf))) {
    const types = registry.all().filter((type) => pathOf(type) === path);
    const hash = createHash('sha256')
      .update(JSON.stringify(types.map((type) => [type.plural, type.schema])))
      .digest('hex')
      .slice(0, 32);
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash.toUpperCase()}` };
  }
  return { paths };
}

function groupDocument(types: readonly ResourceType[]): JsonObject | undefined {
  if (types.length === 0) return undefined;
  const schemas: JsonObject = {};
  const paths: JsonObject = {};
  for (const type of types) {
    schemas[schemaName(type)] = { ...publicSchema(topSchema(type)), 'x-kubernetes-group-version-kind': [gvk(type)] };
    schemas[`${schemaName(type)}List`] = listSchema(type);
    Object.assign(paths, pathsOf(type));
  }
  // The metadata of custom resources refers to the built-in definition.
  addReferences(schemas, { $ref: `${REF_PREFIX}ObjectMeta` });
  addReferences(schemas, { $ref: `${REF_PREFIX}ListMeta` });
  addReferences(schemas, { $ref: `${REF_PREFIX}DeleteOptions` });
  for (const type of types) addReferences(schemas, topSchema(type));
  return { openapi: '3.0.0', info: { title: 'Kubernetes', version: 'unversioned' }, paths, components: { schemas } };
}

function schemaName(type: ResourceType): string {
  return type.custom ? `${type.group.split('.').reverse().join('.')}.${type.version}.${type.kind}` : type.kind;
}

function topSchema(type: ResourceType): Schema {
  if (!type.custom) return BUILTIN[type.kind] ?? {};
  return { ...type.schema, properties: { ...type.schema.properties, metadata: { $ref: `${REF_PREFIX}ObjectMeta` } } };
}

function gvk(type: ResourceType): JsonObject {
  return { group: type.group, version: type.version, kind: type.kind };
}

function listSchema(type: ResourceType): JsonObject {
  return {
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { $ref: `${REF_PREFIX}ListMeta` },
      items: { type: 'array', items: { $ref: `${REF_PREFIX}${schemaName(type)}` } },
    },
    'x-kubernetes-group-version-kind': [{ ...gvk(type), kind: type.listKind }],
  };
}

/** Adds every definition that `schema` refers to. */
function addReferences(schemas: JsonObject, schema: Schema): void {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.slice(REF_PREFIX.length);
    const found = BUILTIN[name];
    if (found === undefined || name in schemas) return;
    schemas[name] = publicSchema(found);
    addReferences(schemas, found);
  }
  for (const property of Object.values(schema.properties ?? {})) addReferences(schemas, property);
  if (schema.items !== undefined) addReferences(schemas, schema.items);
  if (typeof schema.additionalProperties === 'object') addReferences(schemas, schema.additionalProperties);
}

/** Our schemas as OpenAPI: the two formats that are our own shorthand become what Kubernetes publishes. */
function publicSchema(schema: Schema): Schema {
  if (schema['x-kubernetes-int-or-string'] && schema.format === 'int-or-string') {
    return { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] };
  }
  if (schema.format === 'quantity' || schema.format === 'micro-time') return { type: 'string' };
  const { properties, items, additionalProperties } = schema;
  return {
    ...schema,
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, publicSchema(value)])),
        }),
    ...(items === undefined ? {} : { items: publicSchema(items) }),
    ...(typeof additionalProperties === 'object' ? { additionalProperties: publicSchema(additionalProperties) } : {}),
  };
}

const query = (name: string): JsonObject => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } });
const WRITE_PARAMETERS = ['dryRun', 'fieldManager', 'fieldValidation', 'pretty'].map(query);
const LIST_PARAMETERS = [
  'continue',
  'fieldSelector',
  'labelSelector',
  'limit',
  'resourceVersion',
  'timeoutSeconds',
  'watch',
].map(query);

function pathsOf(type: ResourceType): JsonObject {
  const scope = type.namespaced ? `/namespaces/{namespace}/${type.plural}` : `/${type.plural}`;
  const base = `/${pathOf(type)}${scope}`;
  const operation = (action: string, parameters: readonly JsonObject[]): JsonObject => ({
    operationId: `${action}${type.version}${type.kind}`,
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk(type),
    parameters,
    responses: {
      200: {
        description: 'OK',
        content: { 'application/json': { schema: { $ref: `${REF_PREFIX}${schemaName(type)}` } } },
      },
    },
  });
  return {
    [base]: {
      get: operation('list', LIST_PARAMETERS),
      post: operation('post', WRITE_PARAMETERS),
      delete: operation('deletecollection', LIST_PARAMETERS),
    },
    [`${base}/{name}`]: {
      get: operation('get', []),
      put: operation('put', WRITE_PARAMETERS),
      patch: operation('patch', WRITE_PARAMETERS),
      delete: operation('delete', ['dryRun', 'gracePeriodSeconds', 'propagationPolicy'].map(query)),
    },
  };
}
