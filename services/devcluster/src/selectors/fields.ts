// Field selectors: `metadata.name=x,spec.nodeName!=y`. Which fields can be used is said by each resource.
import type { KubeObject } from '../api/objects.js';
import { badRequest } from '../api/status.js';

export type FieldReader = (object: KubeObject) => string;
export type FieldMatcher = (object: KubeObject) => boolean;

interface Term {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

export const METADATA_FIELDS: Readonly<Record<string, FieldReader>> = {
  'metadata.name': (object) => object.metadata.name ?? '',
  'metadata.namespace': (object) => object.metadata.namespace ?? '',
};

/** Throws 400 BadRequest for a selector that can not be parsed and for a field that the resource does not offer. */
export function parseFieldSelector(text: string, fields: Readonly<Record<string, FieldReader>>): FieldMatcher {
  const checks = splitTerms(text).map((part): FieldMatcher => {
    const { field, equal, value } = parseTerm(part, text);
    const read = Object.hasOwn(fields, field) ? fields[field] : undefined;
    if (read === undefined) throw badRequest(`field label not supported: ${field}`);
    return (object) => (read(object) === value) === equal;
  });
  return (object) => checks.every((check) => check(object));
}

/** Splits at commas that are not escaped. */
function splitTerms(text: string): string[] {
  const terms = text.match(/(?:\\.|[^,\\])+/g) ?? [];
  return terms.map((term) => term.trim()).filter((term) => term !== '');
}

function parseTerm(part: string, text: string): Term {
  const match = /^((?:\\.|[^=!\\])+?)\s*(!=|==|=)\s*((?:\\.|[^\\])*)$/.exec(part);
  if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
  const [, field = '', operator, value = ''] = match;
  return { field: field.trim(), equal: operator !== '!=', value: value.replace(/\\(.)/g, '$1') };
}
