// The subresources that are actions: pods/binding, pods/eviction, serviceaccounts/token. All are POSTs with a kind of their own.
import type { IncomingMessage } from 'node:http';
import type { Clock } from '@skerry/common/clock';
import { at, isObject, type JsonObject, listAt, textAt } from '../api/objects.js';
import { badRequest, conflict, invalid, notFound, successStatus } from '../api/status.js';
import { rfc3339 } from '../api/time.js';
import { ISSUER, type TokenClaims, type TokenSigner } from '../auth/service-account-tokens.js';
import { decodeFixed } from '../operations/decode.js';
import { isDryRun, parseDeleteOptions } from '../operations/delete.js';
import type { Operations } from '../operations/operations.js';
import { getObject } from '../operations/read.js';
import type { ResourceType } from '../registry/types.js';
import { BUILTIN, builtinSchema } from '../schema/builtin.js';
import type { Store } from '../storage/store.js';
import { contentTypeOf, objectBody, readBody } from './body.js';
import type { ResourcePath } from './request-info.js';

export interface SubresourceOptions {
  readonly store: Store;
  readonly operations: Operations;
  readonly signer: TokenSigner;
  readonly clock: Clock;
  readonly newUid: () => string;
}

export interface SubresourceCall {
  readonly request: IncomingMessage;
  readonly type: ResourceType;
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
}

/** Carries out the action and returns what is answered (with 201). */
export type SubresourceHandler = (kind: string, call: SubresourceCall) => Promise<JsonObject>;

const MIN_TOKEN_SECONDS = 600;
const MAX_TOKEN_SECONDS = 2 ** 32;
const DEFAULT_TOKEN_SECONDS = 3_600;

export function createSubresourceHandler(options: SubresourceOptions): SubresourceHandler {
  const { store, operations, signer, clock, newUid } = options;

  async function evict({ type, path }: SubresourceCall, eviction: JsonObject, dryRun: boolean): Promise<void> {
    const given = textAt(eviction, 'metadata', 'name');
    if (given !== '' && given !== path.name) throw badRequest('name in URL does not match name in Eviction object');
    const body = isObject(eviction['deleteOptions']) ? eviction['deleteOptions'] : undefined;
    const asked = parseDeleteOptions(body, new URLSearchParams());
    await operations.remove(type, path.namespace, path.name, dryRun ? { ...asked, dryRun } : asked);
  }

  function issueToken({ type, path }: SubresourceCall, request: JsonObject): JsonObject {
    const account = getObject(store, type, path.namespace, path.name).object;
    const seconds = at(request, 'spec', 'expirationSeconds') ?? DEFAULT_TOKEN_SECONDS;
    checkSeconds(Number(seconds));
    const asked = listAt(request, 'spec', 'audiences').map(String);
    const issuedAt = Math.floor(clock.nowMs() / 1000);
    const bound = boundObject(path.namespace, at(request, 'spec', 'boundObjectRef'));
    const claims: TokenClaims = {
      audiences: asked.length > 0 ? asked : [ISSUER],
      namespace: path.namespace,
      serviceAccount: { name: path.name, uid: account.metadata.uid ?? '' },
      ...(bound === undefined ? {} : { bound }),
      issuedAt,
      expiresAt: issuedAt + Number(seconds),
      id: newUid(),
    };
    return {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name: path.name, namespace: path.namespace, creationTimestamp: rfc3339(issuedAt * 1000) },
      spec: { ...(request['spec'] as JsonObject), audiences: claims.audiences, expirationSeconds: seconds },
      status: { token: signer.issue(claims), expirationTimestamp: rfc3339(claims.expiresAt * 1000) },
    };
  }

  /** Throws 404 and 409 when the object is not there, or not the one that was meant. */
  function boundObject(namespace: string, reference: unknown): TokenClaims['bound'] {
    if (reference === undefined) return undefined;
    const kind = (['Pod', 'Node', 'Secret'] as const).find((known) => known === textAt(reference, 'kind'));
    if (kind === undefined || textAt(reference, 'apiVersion') !== 'v1') {
      throw badRequest(
        `cannot bind token for object "${textAt(reference, 'kind')}": it must be a v1 Pod, Node or Secret`,
      );
    }
    const collection = `${kind.toLowerCase()}s`;
    const name = textAt(reference, 'name');
    const found = store.get({ collection, namespace: kind === 'Node' ? '' : namespace, name })?.object;
    const resource = { group: '', resource: collection };
    if (found === undefined) throw notFound(resource, name);
    const wanted = textAt(reference, 'uid');
    const uid = found.metadata.uid ?? '';
    if (wanted !== '' && wanted !== uid) {
      const why = `the UID in the bound object reference (${wanted}) does not match the UID in record. The object might have been deleted and then recreated`;
      throw conflict(resource, name, why);
    }
    return { kind, name, uid };
  }

  return async (kind, call) => {
    const body = objectBody(await readBody(call.request), contentTypeOf(call.request));
    const value = decodeFixed(builtinSchema(kind), BUILTIN, kind, body.value);
    const { namespace, name } = call.path;
    const dryRun = isDryRun(call.query);
    if (kind === 'TokenRequest') return issueToken(call, value);
    if (kind === 'Binding') await operations.bind(namespace, name, value, { dryRun });
    else await evict(call, value, dryRun);
    return successStatus(undefined, 201);
  };
}

function checkSeconds(seconds: number): void {
  if (seconds >= MIN_TOKEN_SECONDS && seconds <= MAX_TOKEN_SECONDS) return;
  const detail =
    seconds < MIN_TOKEN_SECONDS
      ? 'may not specify a duration less than 10 minutes'
      : 'may not specify a duration larger than 2^32 seconds';
  throw invalid('authentication.k8s.io', 'TokenRequest', '', [
    { type: 'invalid', field: 'spec.expirationSeconds', value: seconds, detail },
  ]);
}
