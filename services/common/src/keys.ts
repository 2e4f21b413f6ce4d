// Keys of the state that travels over the link: "<kind>/<namespace>/<name>" and, where an object's identity matters, "/<uid>".
// Invariant: names and UIDs never hold a slash (Kubernetes names do not), so a key splits into its parts without escaping.
import { SkerryError } from './errors.js';

/** Kinds that go down to the edge, by the controller that owns them. */
export const DOWN_KINDS = { kube: ['pod', 'configmap', 'secret'], device: ['device', 'devicemodel'] } as const;

/** Kinds that go up from the edge. */
export const UP_KINDS = { kube: ['node', 'podstatus'], device: ['devicestatus'] } as const;

export type Kind =
  | (typeof DOWN_KINDS)[keyof typeof DOWN_KINDS][number]
  | (typeof UP_KINDS)[keyof typeof UP_KINDS][number];

export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

export interface ParsedKey extends ObjectName {
  readonly kind: Kind;
  /** Empty where the key has none. */
  readonly uid: string;
}

const WITH_UID: ReadonlySet<string> = new Set(['pod', 'podstatus']);
const KINDS: ReadonlySet<string> = new Set([...Object.values(DOWN_KINDS).flat(), ...Object.values(UP_KINDS).flat()]);

export const podKey = (namespace: string, name: string, uid: string): string => `pod/${namespace}/${name}/${uid}`;
export const podStatusKey = (namespace: string, name: string, uid: string): string =>
  `podstatus/${namespace}/${name}/${uid}`;
export const configMapKey = (namespace: string, name: string): string => `configmap/${namespace}/${name}`;
export const secretKey = (namespace: string, name: string): string => `secret/${namespace}/${name}`;
export const deviceKey = (namespace: string, name: string): string => `device/${namespace}/${name}`;
export const deviceModelKey = (namespace: string, name: string): string => `devicemodel/${namespace}/${name}`;
export const deviceStatusKey = (namespace: string, name: string): string => `devicestatus/${namespace}/${name}`;
/** Nodes have no namespace: the segment is empty. */
export const nodeKey = (name: string): string => `node//${name}`;

export function kindOf(key: string): string {
  return key.slice(0, Math.max(key.indexOf('/'), 0));
}

/** Throws `invalid_argument` for anything that no builder of this file makes. */
export function parseKey(key: string): ParsedKey {
  const [kind = '', namespace = '', name = '', uid = '', ...rest] = key.split('/');
  const wantsUid = WITH_UID.has(kind);
  const ok =
    KINDS.has(kind) &&
    name !== '' &&
    rest.length === 0 &&
    (uid !== '') === wantsUid &&
    (namespace !== '') === (kind !== 'node');
  if (!ok)
    throw new SkerryError(
      'invalid_argument',
      `"${key.slice(0, 300)}" is not a state key: want <kind>/<namespace>/<name>[/<uid>]`,
    );
  return { kind: kind as Kind, namespace, name, uid };
}
