// Content negotiation: plain JSON, tables, or metadata only. Protobuf is not spoken; who also takes JSON gets JSON.
import { ApiError } from '../api/status.js';

export type Shape = 'object' | 'table' | 'metadata';

/** Throws 406 when the client takes nothing that we can give. */
export function negotiate(accept: string | undefined): Shape {
  if (accept === undefined || accept.trim() === '') return 'object';
  for (const item of accept.split(',')) {
    const [type = '', ...parameters] = item.split(';').map((part) => part.trim());
    const values = new Map(parameters.map((parameter) => parameter.split('=', 2) as [string, string]));
    if (!['application/json', 'application/*', '*/*'].includes(type.toLowerCase())) continue;
    const as = values.get('as');
    if (as === undefined) return 'object';
    const known = values.get('g') === 'meta.k8s.io' && values.get('v') === 'v1';
    if (known && as === 'Table') return 'table';
    if (known && (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList')) return 'metadata';
  }
  const message = 'only the following media types are accepted: application/json';
  // Protobuf alone is answered with JSON: clients that send it read the content type of the answer.
  if (/application\/vnd\.kubernetes\.protobuf/.test(accept)) return 'object';
  throw new ApiError(406, 'NotAcceptable', message);
}
