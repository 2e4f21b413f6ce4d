// What a URL path asks for, as the API server reads it.

export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  /** '' for cluster scope and for lists over all namespaces. */
  readonly namespace: string;
  readonly plural: string;
  /** '' for the collection. */
  readonly name: string;
  /** '' for the object itself. */
  readonly subresource: string;
}

/** Parts of a namespace object itself; anything else under it is a resource inside. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(['status', 'finalize']);

/** Undefined when the path is none of a resource: discovery, health, or nothing at all. */
export function parseResourcePath(path: string): ResourcePath | undefined {
  const parts = splitPath(path);
  if (parts === undefined) return undefined;
  const [root, ...rest] = parts;
  if (root === 'api') return locate('', rest[0], rest.slice(1));
  if (root === 'apis') return locate(rest[0], rest[1], rest.slice(2));
  return undefined;
}

function splitPath(path: string): string[] | undefined {
  const parts = path.split('/').slice(1);
  if (parts.at(-1) === '') parts.pop();
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

function locate(
  group: string | undefined,
  version: string | undefined,
  parts: readonly string[],
): ResourcePath | undefined {
  if (group === undefined || version === undefined || parts.length === 0) return undefined;
  if (parts.includes('')) return undefined;
  const inNamespace = parts[0] === 'namespaces' && parts.length > 2 && !NAMESPACE_SUBRESOURCES.has(parts[2] ?? '');
  const namespace = inNamespace ? (parts[1] ?? '') : '';
  const [plural = '', name = '', subresource = '', ...more] = inNamespace ? parts.slice(2) : parts;
  if (more.length > 0) return undefined;
  return { group, version, namespace, plural, name, subresource };
}
