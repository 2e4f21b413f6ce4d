// Columns of server-side tables (`kubectl get`): each says how its cell is made from an object.
import type { KubeObject } from '../api/objects.js';
import { humanDuration } from './duration.js';

export interface TableColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format: string;
  readonly description: string;
  /** 0 = always shown, more = with `-o wide`. */
  readonly priority: number;
  cell(object: KubeObject, nowMs: number): unknown;
}

export function column(
  name: string,
  cell: TableColumn['cell'],
  facts: Partial<Omit<TableColumn, 'name' | 'cell'>> = {},
): TableColumn {
  return { name, type: 'string', format: '', description: '', priority: 0, ...facts, cell };
}

export const NAME = column('Name', (object) => object.metadata.name ?? '', { format: 'name' });

export const AGE = column('Age', (object, nowMs) => ageOf(object.metadata.creationTimestamp, nowMs));

/** How long ago a time stamp was; `<unknown>` when there is none. */
export function ageOf(time: unknown, nowMs: number): string {
  const ms = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(ms) ? '<unknown>' : humanDuration(nowMs - ms);
}
