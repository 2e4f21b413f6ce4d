// What the node should run: Pods and what they refer to, as the meta store tells it.
// Invariants: absence counts only when the store is synced; an entry that cannot be read is reported and stays what it was before;
// each change names the Pods that it concerns, by UID.
import { messageOf, SkerryError } from '@skerry/common/errors';
import { kindOf, parseKey } from '@skerry/common/keys';
import type { ConfigMap, Secret } from '@skerry/common/kube/resources';
import type { Entry, WatchResponse } from '@skerry/gen/skerry/edge/v1/edge';
import type { Pod, References } from '../pod/types.js';

export interface DesiredPod {
  readonly pod: Pod;
  /** All that the Pod needs has an entry, present or known absent. */
  readonly referencesReady: boolean;
  readonly references: References;
  /** Changes whenever the content of a reference does. */
  readonly referencesStamp: string;
}

export interface DesiredState {
  /** A new stream begins with a snapshot. */
  begin(): void;
  /** Applies one message; returns the UIDs of the Pods that have something new. Throws nothing. */
  apply(message: WatchResponse): readonly string[];
  pod(uid: string): DesiredPod | undefined;
  uids(): readonly string[];
  /** The list is known to be whole: what is not in it is not wanted. */
  synced(): boolean;
}

interface PodEntry {
  readonly key: string;
  readonly pod: Pod;
  readonly needs: readonly string[];
}

interface ReferenceEntry {
  readonly version: string;
  readonly value: ConfigMap | Secret | null;
}

/** `reject` hears of entries that cannot be used. */
export function createDesiredState(reject: (key: string, reason: string) => void): DesiredState {
  const pods = new Map<string, PodEntry>();
  const references = new Map<string, ReferenceEntry>();
  /** Keys that the current stream has told of. */
  let seen = new Set<string>();
  let synced = false;

  const neededBy = (key: string): string[] =>
    [...pods.values()].filter(({ needs }) => needs.includes(key)).map(({ pod }) => pod.metadata.uid);

  function put(entry: Entry): readonly string[] {
    seen.add(entry.key);
    if (kindOf(entry.key) !== 'pod') {
      references.set(entry.key, { version: entry.version, value: entry.absent ? null : parse(entry.payload) });
      return neededBy(entry.key);
    }
    const pod = podOf(entry);
    pods.set(pod.metadata.uid, { key: entry.key, pod, needs: entry.references });
    return [pod.metadata.uid];
  }

  function remove(key: string): readonly string[] {
    seen.delete(key);
    if (kindOf(key) !== 'pod') return references.delete(key) ? neededBy(key) : [];
    const { uid } = parseKey(key);
    return pods.delete(uid) ? [uid] : [];
  }

  /** What a whole list did not name is gone. */
  function complete(): readonly string[] {
    const all = [...[...pods.values()].map(({ key }) => key), ...references.keys()];
    return all.filter((key) => !seen.has(key)).flatMap(remove);
  }

  function listed(isSynced: boolean): readonly string[] {
    synced = isSynced;
    return synced ? complete() : [];
  }

  function applyEvent(event: NonNullable<WatchResponse['event']>): readonly string[] {
    switch (event.$case) {
      case 'put':
        return put(event.value);
      case 'deleted':
        return remove(event.value.key);
      case 'listed':
        return listed(event.value.synced);
    }
  }

  return {
    begin() {
      seen = new Set();
    },
    apply({ event }) {
      if (!event) return [];
      try {
        return applyEvent(event);
      } catch (error) {
        const key = event.$case === 'listed' ? '' : event.value.key;
        reject(key, messageOf(error));
        return [];
      }
    },
    pod(uid) {
      const entry = pods.get(uid);
      return entry && view(entry, references);
    },
    uids: () => [...pods.keys()],
    synced: () => synced,
  };
}

function view({ pod, needs }: PodEntry, references: ReadonlyMap<string, ReferenceEntry>): DesiredPod {
  const found = needs.flatMap((key) => {
    const entry = references.get(key);
    return entry ? [{ key, ...entry }] : [];
  });
  return {
    pod,
    referencesReady: found.length === needs.length,
    references: new Map(found.map(({ key, value }) => [key, value])),
    referencesStamp: JSON.stringify(found.map(({ key, version }) => [key, version])),
  };
}

/** The key is the identity: a payload that says otherwise is not used. */
function podOf(entry: Entry): Pod {
  const pod = parse<Partial<Pod>>(entry.payload);
  const { namespace, name, uid } = parseKey(entry.key);
  const { metadata, spec, status } = pod;
  if (metadata?.namespace !== namespace || metadata.name !== name || metadata.uid !== uid || !spec?.containers?.length)
    throw new SkerryError('invalid_argument', 'the entry is not the Pod that its key names');
  // It becomes the name of a folder.
  if (!/^[A-Za-z0-9][A-Za-z0-9.-]{0,127}$/.test(uid))
    throw new SkerryError('invalid_argument', 'its UID is not usable as a name');
  return { metadata, spec, ...(status ? { status } : {}) };
}

function parse<T>(payload: Uint8Array): T {
  return JSON.parse(Buffer.from(payload).toString('utf8')) as T;
}
