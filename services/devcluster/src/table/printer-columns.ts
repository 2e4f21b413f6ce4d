// The additional printer columns of a CustomResourceDefinition.
import { isObject, type JsonObject, textAt } from '../api/objects.js';
import { ageOf, column, type TableColumn } from './columns.js';
import { compileJsonPath } from './json-path.js';

const TYPES = ['string', 'integer', 'number', 'boolean', 'date'] as const;

export function printerColumn(declared: JsonObject): TableColumn {
  const read = compileJsonPath(textAt(declared, 'jsonPath'));
  const type = TYPES.find((known) => known === declared['type']) ?? 'string';
  return column(
    textAt(declared, 'name'),
    (object, nowMs) => {
      const found = read?.(object) ?? [];
      const first = found[0];
      if (first === undefined || first === null) return null;
      if (type === 'date') return ageOf(first, nowMs);
      if (type === 'string') return found.map(show).join(',');
      return typeof first === 'object' ? show(first) : first;
    },
    {
      type,
      format: textAt(declared, 'format'),
      description: textAt(declared, 'description'),
      priority: typeof declared['priority'] === 'number' ? declared['priority'] : 0,
    },
  );
}

function show(value: unknown): string {
  return isObject(value) || Array.isArray(value) ? JSON.stringify(value) : String(value);
}
