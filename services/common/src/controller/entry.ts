// Objects as entries of the link: what is delivered, under which version, and what it needs.
// Invariant: equal content gives equal bytes' version; an absent target has the one version that says so.
import type { Entry } from '../link/types.js';
import { versionOf } from '../version.js';

/** The version of every entry that is known not to exist. */
export const ABSENT_VERSION = 'absent';

/** A target that is known not to exist. */
export const ABSENT: Entry = { version: ABSENT_VERSION, payload: new Uint8Array(), absent: true, references: [] };

export interface EntryInput {
  /** Number of the code that made `content`; see `versionOf`. */
  readonly projection: number;
  readonly uid: string;
  /** Delivered as JSON. */
  readonly content: object;
  /** In place of the content's hash, where that must not leave the cloud (Secrets: the resourceVersion). */
  readonly revision?: string;
  /** Keys that the entry needs. */
  readonly references?: readonly string[];
}

export function entryOf(input: EntryInput): Entry {
  const { projection, uid, content, revision, references = [] } = input;
  return {
    version: revision === undefined ? versionOf(projection, uid, content) : `${projection}/${uid}/${revision}`,
    payload: Buffer.from(JSON.stringify(content), 'utf8'),
    absent: false,
    references,
  };
}

/** kubectl's copy of the whole object, of no use to anybody at the edge. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Annotations as they are delivered. */
export function deliveredAnnotations(
  annotations: Record<string, string> | undefined,
): Record<string, string> | undefined {
  if (annotations?.[LAST_APPLIED] === undefined) return annotations;
  const { [LAST_APPLIED]: _dropped, ...rest } = annotations;
  return rest;
}
