// Reading: get, and lists with selectors, pages and a choice of revision.
// Invariant: the pages of one list show one revision; when that one is gone the client is told to start again (410).
import { ApiError, badRequest, expired, notFound } from '../api/status.js';
import { keyOf, type ResourceType, resourceOf } from '../registry/types.js';
import { parseFieldSelector } from '../selectors/fields.js';
import { parseLabelSelector } from '../selectors/labels.js';
import { localKey, type StoredObject } from '../storage/changes.js';
import type { Store } from '../storage/store.js';

export type Filter = (stored: StoredObject) => boolean;

/** From `labelSelector` and `fieldSelector`. Throws 400. */
export function parseFilter(type: ResourceType, query: URLSearchParams): Filter {
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '', type.fields);
  return ({ object }) => labels(object.metadata.labels ?? {}) && fields(object);
}

export interface Page {
  readonly items: readonly StoredObject[];
  readonly revision: number;
  readonly continueToken?: string;
  readonly remaining?: number;
}

export interface ListQuery {
  /** '' for all. */
  readonly namespace: string;
  readonly filter: Filter;
  /** False when a selector is set: then the number of remaining objects is not told. */
  readonly countRemaining: boolean;
  readonly limit: number;
  readonly continueToken: string;
  /** Undefined or 0: any. */
  readonly revision: number | undefined;
  readonly match: string;
}

export function getObject(store: Store, type: ResourceType, namespace: string, name: string): StoredObject {
  const found = store.get(keyOf(type, namespace, name));
  if (found === undefined) throw notFound(resourceOf(type), name);
  return found;
}

/** Throws 400 for a parameter that is no revision. */
export function parseRevision(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) {
    throw badRequest(
      `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  }
  return Number(text);
}

export function parseListQuery(type: ResourceType, namespace: string, query: URLSearchParams): ListQuery {
  const limit = query.get('limit') ?? '';
  if (!/^\d{0,15}$/.test(limit))
    throw badRequest(`limit: Invalid value: ${JSON.stringify(limit)}: must be a whole number`);
  const match = query.get('resourceVersionMatch') ?? '';
  const revision = parseRevision(query.get('resourceVersion'));
  checkMatch(match, revision, query.get('continue') ?? '');
  return {
    namespace,
    filter: parseFilter(type, query),
    countRemaining: !query.get('labelSelector') && !query.get('fieldSelector'),
    limit: Number(limit),
    continueToken: query.get('continue') ?? '',
    revision,
    match,
  };
}

function checkMatch(match: string, revision: number | undefined, continueToken: string): void {
  if (match === '') return;
  const field = 'resourceVersionMatch';
  if (continueToken !== '') throw badRequest(`${field}: Forbidden: ${field} is forbidden when continue is provided`);
  if (revision === undefined)
    throw badRequest(`${field}: Forbidden: ${field} is forbidden unless resourceVersion is provided`);
  if (match !== 'Exact' && match !== 'NotOlderThan') {
    throw badRequest(
      `${field}: Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan"`,
    );
  }
  if (match === 'Exact' && revision === 0)
    throw badRequest(`${field}: Forbidden: ${field} "Exact" is forbidden for resourceVersion "0"`);
}

const TOO_OLD =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';

export function listPage(store: Store, type: ResourceType, query: ListQuery): Page {
  const token = query.continueToken === '' ? undefined : decodeToken(query.continueToken);
  const revision = token?.revision ?? (query.match === 'Exact' ? query.revision : undefined) ?? store.revision();
  if (revision > store.revision() || (query.revision ?? 0) > store.revision())
    throw tooLarge(query.revision ?? revision, store);
  const now = store.list(type.collection);
  const all = revision === store.revision() ? now : store.history(type.collection).rewind(now, revision);
  if (all === undefined) {
    if (token === undefined) throw expired(`The resourceVersion for the provided list is too old.`);
    throw expired(TOO_OLD, encodeToken({ revision: -1, start: token.start }));
  }
  const matching = all.filter(
    (stored) =>
      (query.namespace === '' || stored.key.namespace === query.namespace) &&
      (token === undefined || localKey(stored.key) > token.start) &&
      query.filter(stored),
  );
  const items = query.limit > 0 ? matching.slice(0, query.limit) : matching;
  const last = items.at(-1);
  if (items.length === matching.length || last === undefined) return { items, revision };
  return {
    items,
    revision,
    continueToken: encodeToken({ revision, start: localKey(last.key) }),
    ...(query.countRemaining ? { remaining: matching.length - items.length } : {}),
  };
}

/** The client has seen a revision that this server has not. */
export function tooLarge(revision: number, store: Store): ApiError {
  const message = `Timeout: Too large resource version: ${revision}, current: ${store.revision()}`;
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  return new ApiError(504, 'Timeout', message, { causes, retryAfterSeconds: 1 });
}

interface Token {
  /** Undefined: whatever is newest (an inconsistent continuation that the client chose). */
  readonly revision: number | undefined;
  readonly start: string;
}

function encodeToken(token: Token): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: token.revision, start: token.start })).toString(
    'base64url',
  );
}

function decodeToken(text: string): Token {
  try {
    const { rv, start } = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as {
      rv?: unknown;
      start?: unknown;
    };
    if (typeof start === 'string' && Number.isInteger(rv)) {
      return { revision: Number(rv) < 0 ? undefined : Number(rv), start };
    }
  } catch {}
  throw badRequest('continue key is not valid: it was not made by this server');
}
