// Which resources are served now: the built-in ones and those of CustomResourceDefinitions.
// Invariant: changed only by commits of definitions, before the write that made them is answered.
import type { Change } from '../storage/changes.js';
import type { StateView } from '../storage/state.js';
import { CRDS, customTypes } from './crd.js';
import type { ResourceType } from './types.js';

export interface Registry {
  find(group: string, version: string, plural: string): ResourceType | undefined;
  /** The type by which owner references name an object. */
  findKind(group: string, kind: string): ResourceType | undefined;
  /** In any served version. */
  findCollection(collection: string): ResourceType | undefined;
  all(): readonly ResourceType[];
  /** Counts changes, for caches and entity tags. */
  generation(): number;
  onCommit(changes: readonly Change[]): void;
}

export function createRegistry(builtin: readonly ResourceType[], state: StateView): Registry {
  let generation = 0;
  let types: readonly ResourceType[] = builtin;
  let byPath = new Map<string, ResourceType>();

  function rebuild(): void {
    generation += 1;
    types = [...builtin, ...state.list(CRDS).flatMap(({ object }) => customTypes(object))];
    byPath = new Map(types.map((type) => [`${type.group}/${type.version}/${type.plural}`, type]));
  }
  rebuild();

  return {
    find: (group, version, plural) => byPath.get(`${group}/${version}/${plural}`),
    findKind: (group, kind) => types.find((type) => type.group === group && type.kind === kind),
    findCollection: (collection) => types.find((type) => type.collection === collection),
    all: () => types,
    generation: () => generation,
    onCommit: (changes) => {
      if (changes.some((change) => change.current.key.collection === CRDS)) rebuild();
    },
  };
}
