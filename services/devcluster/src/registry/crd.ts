// CustomResourceDefinitions: their validation, and the resource types that they make.
// Invariant: a definition whose names are taken by another is stored but serves nothing (condition NamesAccepted=False).
import { dnsLabel, dnsSubdomain } from '../api/names.js';
import { isObject, type JsonObject, type KubeObject, objectsAt, textAt } from '../api/objects.js';
import type { FieldError } from '../api/status.js';
import type { Schema } from '../schema/types.js';
import { METADATA_FIELDS } from '../selectors/fields.js';
import { AGE, NAME, type TableColumn } from '../table/columns.js';
import { printerColumn } from '../table/printer-columns.js';
import { behaviour, keepField } from './behaviour.js';
import { customBehaviour } from './custom.js';
import { checkStructural } from './structural.js';
import { type Behaviour, collectionName, type ResourceType, type WriteContext } from './types.js';

export const CRDS = 'customresourcedefinitions.apiextensions.k8s.io';
/** Held until the last object of a deleted definition is gone. */
export const CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io';

export function crdBehaviour(): Behaviour {
  return behaviour({
    unconditionalUpdate: false,
    hasGeneration: true,
    prepareCreate: (next, context) => {
      defaultNames(next);
      next.status = {};
      next.metadata.finalizers = [...new Set([...(next.metadata.finalizers ?? []), CLEANUP_FINALIZER])];
      warnAboutRules(next, context);
      accept(next, undefined, context);
    },
    prepareUpdate: (next, old, context) => {
      defaultNames(next);
      keepField(next, old, 'status');
      warnAboutRules(next, context);
      if (next.metadata.deletionTimestamp === undefined) accept(next, old, context);
    },
    validate: validateDefinition,
    validateUpdate: (next, old) =>
      ['group', 'scope', 'names.plural', 'names.kind'].flatMap((path): FieldError[] => {
        const keys = path.split('.');
        const value = textAt(next.spec, ...keys);
        if (value === textAt(old.spec, ...keys)) return [];
        return [{ type: 'invalid', field: `spec.${path}`, value, detail: 'field is immutable' }];
      }),
    prepareDelete: (next, context) => {
      const message = 'CustomResource deletion is in progress';
      setCondition(
        next,
        { type: 'Terminating', status: 'True', reason: 'InstanceDeletionInProgress', message },
        context.now,
      );
    },
  });
}

function defaultNames(crd: KubeObject): void {
  crd.spec ??= {};
  const { spec } = crd;
  const names = spec['names'];
  if (isObject(names)) {
    names['singular'] ??= textAt(names, 'kind').toLowerCase();
    names['listKind'] ??= `${textAt(names, 'kind')}List`;
  }
  spec['conversion'] ??= { strategy: 'None' };
}

function warnAboutRules(crd: KubeObject, { warn }: WriteContext): void {
  if (JSON.stringify(crd.spec).includes('"x-kubernetes-validations"')) {
    warn('x-kubernetes-validations (CEL) is stored but not evaluated by devcluster');
  }
}

/** Sets acceptedNames, storedVersions and the conditions that say whether the definition is served. */
function accept(next: KubeObject, old: KubeObject | undefined, { tx, now }: WriteContext): void {
  const names = namesOf(next);
  const taken = tx
    .list(CRDS)
    .filter(
      ({ object }) =>
        object.metadata.name !== next.metadata.name && textAt(object.spec, 'group') === textAt(next.spec, 'group'),
    )
    .flatMap(({ object }) => [...namesOf(object)]);
  const clash = [...names].find((name) => taken.includes(name));
  const storage = objectsAt(next.spec, 'versions').find((version) => version['storage'] === true);
  const before = isObject(old?.status) ? (old.status['storedVersions'] as string[] | undefined) : undefined;
  next.status = {
    ...next.status,
    acceptedNames: clash === undefined ? next.spec?.['names'] : { kind: '', plural: '' },
    storedVersions: [...new Set([...(before ?? []), textAt(storage, 'name')])],
  };
  setCondition(
    next,
    clash === undefined
      ? { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' }
      : { type: 'NamesAccepted', status: 'False', reason: 'NamesConflict', message: `"${clash}" is already in use` },
    now,
  );
  setCondition(
    next,
    clash === undefined
      ? {
          type: 'Established',
          status: 'True',
          reason: 'InitialNamesAccepted',
          message: 'the initial names have been accepted',
        }
      : { type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' },
    now,
  );
}

function namesOf(crd: KubeObject): Set<string> {
  const names = isObject(crd.spec?.['names']) ? crd.spec['names'] : {};
  const shortNames = Array.isArray(names['shortNames']) ? names['shortNames'].map(String) : [];
  return new Set([textAt(names, 'plural'), textAt(names, 'singular'), textAt(names, 'kind'), ...shortNames]);
}

function setCondition(crd: KubeObject, condition: JsonObject, now: string): void {
  const others = objectsAt(crd.status, 'conditions').filter((item) => item['type'] !== condition['type']);
  const old = objectsAt(crd.status, 'conditions').find((item) => item['type'] === condition['type']);
  const lastTransitionTime = old?.['status'] === condition['status'] ? old?.['lastTransitionTime'] : now;
  crd.status = { ...crd.status, conditions: [...others, { lastTransitionTime, ...condition }] };
}

function validateDefinition(crd: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = crd.spec ?? {};
  const plural = textAt(spec, 'names', 'plural');
  const group = textAt(spec, 'group');
  const expected = `${plural}.${group}`;
  if (crd.metadata.name !== expected) {
    const detail = `must be spec.names.plural+"."+spec.group`;
    errors.push({ type: 'invalid', field: 'metadata.name', value: crd.metadata.name, detail });
  }
  if (group === '') errors.push({ type: 'required', field: 'spec.group' });
  else if (dnsSubdomain(group) !== undefined || !group.includes('.')) {
    errors.push({
      type: 'invalid',
      field: 'spec.group',
      value: group,
      detail: 'should be a domain with at least one dot',
    });
  }
  if (!['Cluster', 'Namespaced'].includes(textAt(spec, 'scope'))) {
    const detail = 'supported values: "Cluster", "Namespaced"';
    errors.push({ type: 'unsupported', field: 'spec.scope', value: textAt(spec, 'scope'), detail });
  }
  if (textAt(spec, 'conversion', 'strategy') !== 'None') {
    const detail = 'devcluster converts nothing: supported values: "None"';
    errors.push({
      type: 'unsupported',
      field: 'spec.conversion.strategy',
      value: textAt(spec, 'conversion', 'strategy'),
      detail,
    });
  }
  for (const name of ['plural', 'singular', 'kind', 'listKind']) {
    const value = textAt(spec, 'names', name);
    if (value === '') errors.push({ type: 'required', field: `spec.names.${name}` });
    else if (dnsLabel(value.toLowerCase()) !== undefined) {
      errors.push({ type: 'invalid', field: `spec.names.${name}`, value, detail: dnsLabel(value.toLowerCase()) ?? '' });
    }
  }
  const versions = objectsAt(spec, 'versions');
  if (versions.filter((version) => version['storage'] === true).length !== 1) {
    const detail = 'must have exactly one version marked as storage version';
    errors.push({ type: 'invalid', field: 'spec.versions', value: versions.map((version) => version['name']), detail });
  }
  versions.forEach((version, index) => void errors.push(...validateVersion(version, `spec.versions[${index}]`)));
  return errors;
}

function validateVersion(version: JsonObject, path: string): FieldError[] {
  const name = textAt(version, 'name');
  const wrong = dnsLabel(name);
  const errors: FieldError[] =
    wrong === undefined ? [] : [{ type: 'invalid', field: `${path}.name`, value: name, detail: wrong }];
  if (isObject(version['subresources']) && isObject(version['subresources']['scale'])) {
    errors.push({
      type: 'forbidden',
      field: `${path}.subresources.scale`,
      detail: 'the scale subresource is not offered by devcluster',
    });
  }
  const schema = isObject(version['schema']) ? version['schema']['openAPIV3Schema'] : undefined;
  const at = `${path}.schema.openAPIV3Schema`;
  if (!isObject(schema)) errors.push({ type: 'required', field: at, detail: 'schemas are required' });
  else errors.push(...checkStructural(schema as Schema, at));
  return errors;
}

const META_SCHEMA: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

/** The types that a stored definition serves: one for each served version; none while its names are not accepted. */
export function customTypes(crd: KubeObject): ResourceType[] {
  const established = objectsAt(crd.status, 'conditions').some(
    (condition) => condition['type'] === 'Established' && condition['status'] === 'True',
  );
  if (!established) return [];
  const spec = crd.spec ?? {};
  const names = isObject(spec['names']) ? spec['names'] : {};
  const group = textAt(spec, 'group');
  const strings = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
  return objectsAt(spec, 'versions')
    .filter((version) => version['served'] === true)
    .map((version) => {
      const declared = isObject(version['schema']) ? (version['schema']['openAPIV3Schema'] as Schema) : {};
      const schema: Schema = {
        ...declared,
        properties: {
          ...declared.properties,
          apiVersion: { type: 'string' },
          kind: { type: 'string' },
          metadata: META_SCHEMA,
        },
      };
      const hasStatus = isObject(version['subresources']) && isObject(version['subresources']['status']);
      const type: ResourceType = {
        group,
        version: textAt(version, 'name'),
        kind: textAt(names, 'kind'),
        listKind: textAt(names, 'listKind'),
        plural: textAt(names, 'plural'),
        singular: textAt(names, 'singular'),
        shortNames: strings(names['shortNames']),
        categories: strings(names['categories']),
        namespaced: textAt(spec, 'scope') === 'Namespaced',
        collection: collectionName(group, textAt(names, 'plural')),
        schema,
        definitions: {},
        custom: true,
        hasStatus,
        subresources: [],
        fields: { ...METADATA_FIELDS, ...selectableFields(version) },
        columns: columnsOf(version),
        terminating: crd.metadata.deletionTimestamp !== undefined,
        behaviour: customBehaviour(schema, hasStatus),
      };
      return version['deprecated'] === true ? { ...type, deprecation: deprecationOf(version, type) } : type;
    });
}

function deprecationOf(version: JsonObject, type: ResourceType): string {
  return textAt(version, 'deprecationWarning') || `${type.group}/${type.version} ${type.kind} is deprecated`;
}

function selectableFields(version: JsonObject): ResourceType['fields'] {
  const paths = objectsAt(version, 'selectableFields').map((item) => textAt(item, 'jsonPath'));
  return Object.fromEntries(
    paths.map((path) => {
      const keys = path.split('.').filter((key) => key !== '');
      return [keys.join('.'), (object: KubeObject) => textAt(object, ...keys)];
    }),
  );
}

function columnsOf(version: JsonObject): readonly TableColumn[] {
  const declared = objectsAt(version, 'additionalPrinterColumns');
  if (declared.length === 0) return [NAME, AGE];
  return [NAME, ...declared.map(printerColumn)];
}
