// Tables (meta.k8s.io/v1) from objects.
import type { JsonObject, KubeObject } from '../api/objects.js';
import type { TableColumn } from './columns.js';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableRow {
  readonly object: KubeObject;
  /** The object as clients see it, with apiVersion and kind. */
  readonly full: () => JsonObject;
}

export function renderTable(
  columns: readonly TableColumn[],
  rows: readonly TableRow[],
  metadata: JsonObject,
  include: IncludeObject,
  nowMs: number,
): JsonObject {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: columns.map(({ cell: _cell, ...definition }) => definition),
    rows: rows.map((row) => ({
      cells: columns.map((item) => item.cell(row.object, nowMs)),
      ...(include === 'None' ? {} : { object: include === 'Object' ? row.full() : partialMetadata(row.object) }),
    })),
  };
}

export function partialMetadata(object: KubeObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}
