// Custom resources: defaults and validation by the schema of their version; status apart when the version has the subresource.
import { dnsSubdomain } from '../api/names.js';
import type { KubeObject } from '../api/objects.js';
import { applyDefaults } from '../schema/defaults.js';
import type { Schema } from '../schema/types.js';
import { validate } from '../schema/validate.js';
import { behaviour, keepField } from './behaviour.js';
import type { Behaviour } from './types.js';

export function customBehaviour(schema: Schema, hasStatus: boolean): Behaviour {
  // The generic code checks metadata and has taken apiVersion and kind off.
  const { apiVersion: _a, kind: _k, metadata: _m, ...properties } = schema.properties ?? {};
  const required = (schema.required ?? []).filter((field) => !['apiVersion', 'kind', 'metadata'].includes(field));
  const body: Schema = { ...schema, properties, required };
  return behaviour({
    checkName: dnsSubdomain,
    unconditionalUpdate: false,
    hasGeneration: true,
    prepareCreate: (next) => {
      if (hasStatus) delete next.status;
      applyDefaults(body, next);
    },
    prepareUpdate: (next, old) => {
      if (hasStatus) keepField(next, old, 'status');
      applyDefaults(body, next);
    },
    prepareStatus: (next, old) => {
      // Metadata and everything besides status come from the stored object.
      for (const field of new Set([...Object.keys(next), ...Object.keys(old)])) {
        if (field === 'status') continue;
        if (field === 'metadata') next.metadata = { ...old.metadata };
        else keepField(next, old, field);
      }
      applyDefaults(body, next);
    },
    validate: (next: KubeObject) => {
      const { metadata: _, ...rest } = next;
      return validate(body, rest);
    },
  });
}
